"""Rewind, restore, advance and undo: planned first, then done whole or refused by name."""

import json
import threading
from contextlib import suppress
from typing import TypedDict, Unpack

import pytest
from support_streams import Shop

from headwater.consumers import lifecycle
from headwater.consumers.consume import consume
from headwater.consumers.errors import (
    PlanOutdated,
    PolicyForbids,
    ReasonRequired,
    RewindRefused,
    SharedRefuses,
    TargetAboveWatermark,
    TargetBelowWatermark,
)
from headwater.consumers.execute import carry_out, execute
from headwater.consumers.history import history
from headwater.consumers.positions import AtTime, AtVersion, Mark, Position
from headwater.consumers.rewind import Ask, plan_advance, plan_rewind, plan_undo
from headwater.consumers.rewind_plan import RewindPlan
from headwater.consumers.streams import StreamOptions
from headwater.consumers.windows import Bounds, Window
from headwater.log_store.catalog import Capture, RewindPolicy, Sharing
from headwater.log_store.errors import WriteConflict
from headwater.log_store.port import Log
from headwater.log_store.records import INITIAL, Committed
from headwater.producer import ddl
from headwater.producer.names import find_stream
from headwater.producer.transaction import Transaction
from headwater.schemas.tables import ColumnSpec
from headwater.schemas.types import SqlType

SHARED = StreamOptions(sharing=Sharing.SHARED)
INITIALLY = StreamOptions(initial_rows=True)


class Asked(TypedDict, total=False):
    """What a plan can be asked for; `to` a bare number is a version."""

    to: int | Position
    consumer: str
    restore: bool
    force: bool
    reason: str


class RewindShop(Shop):
    """A shop with plans."""

    def plan(self, name: str = "s", **asked: Unpack[Asked]) -> RewindPlan:
        with self.log.view() as view:
            return plan_rewind(view, find_stream(view.catalog, name), _ask(asked))

    def plan_undo(self, name: str = "s", **asked: Unpack[Asked]) -> RewindPlan:
        with self.log.view() as view:
            return plan_undo(view, find_stream(view.catalog, name), _ask(asked))

    def plan_advance(self, name: str = "s", **asked: Unpack[Asked]) -> RewindPlan:
        with self.log.view() as view:
            return plan_advance(view, find_stream(view.catalog, name), _ask(asked))

    def carry(self, plan: RewindPlan) -> Committed | None:
        return carry_out(lambda: Transaction(self.log, actor="tester"), plan)

    def restore(self, name: str = "s", **asked: Unpack[Asked]) -> RewindPlan:
        """Plan a restore and carry it out."""
        asked["restore"] = True
        plan = self.plan(name, **asked)
        self.carry(plan)
        return plan

    def state(self) -> object:
        """Everything that a refused call must leave as it was."""
        with self.log.view() as view:
            return view.sequence


def _ask(asked: Asked) -> Ask:
    to = asked.get("to", Mark.BASE)
    return Ask(
        to=AtVersion(to) if isinstance(to, int) else to,
        consumer=asked.get("consumer"),
        restore=asked.get("restore", False),
        force=asked.get("force", False),
        reason=asked.get("reason", ""),
    )


@pytest.fixture
def shop(log: Log) -> RewindShop:
    """A stream s on a table orders of three versions, consumed into report one by one."""
    made = RewindShop(log)
    made.create("orders")
    made.create("report", key=())
    made.stream("s", "orders")
    for number in (1, 2, 3):
        made.insert("orders", (number, f"n{number}"))
        made.feed("s", "report")
    return made


# Plain rewinds


def test_a_rewind_moves_the_watermark_and_touches_no_table(shop: RewindShop) -> None:
    plan = shop.plan(to=1)

    assert [(m.name, m.start, m.end) for m in plan.moves] == [("report", 3, 1)]
    assert (plan.changes, plan.duplicates) == (2, {"report": 2})
    assert plan.bytes > 0
    assert "written twice" in plan.warnings[0]

    shop.carry(plan)

    assert shop.position("s", "report") == 1
    assert len(shop.rows("report")) == 3
    assert shop.feed("s", "report") == Window(1, 3)
    assert len(shop.rows("report")) == 5


def test_without_a_place_the_rewind_goes_to_the_base(shop: RewindShop) -> None:
    shop.carry(shop.plan())

    assert shop.position("s", "report") == 0


def test_a_plan_alone_changes_nothing(shop: RewindShop) -> None:
    before = shop.state()

    shop.plan(to=1, restore=True)

    assert shop.state() == before


def test_a_time_names_a_place_to_rewind_to(shop: RewindShop) -> None:
    with shop.log.view() as view:
        row = view.version(shop.table("orders").id, 2)
    assert row is not None

    shop.carry(shop.plan(to=AtTime(row.time_us)))

    assert shop.position("s", "report") == 2


def test_duplicates_are_the_rows_that_still_exist(shop: RewindShop) -> None:
    with shop.transaction() as tx:
        table = shop.table("report", tx)
        tx.delete(table, [shop.row_ids("report")[-1]])

    assert shop.plan(to=1).duplicates == {"report": 1}


def test_rows_that_an_earlier_rewind_left_behind_are_not_counted_again(shop: RewindShop) -> None:
    shop.carry(shop.plan(to=1))
    shop.feed("s", "report")

    assert len(shop.rows("report")) == 5
    assert shop.plan(to=1).duplicates == {"report": 2}


def test_a_watermark_that_stands_there_already_is_no_error(shop: RewindShop) -> None:
    before = shop.state()
    plan = shop.plan(to=3)

    assert plan.nothing == "report: stands at v3 already"
    assert shop.carry(plan) is None
    assert shop.state() == before


def test_a_stream_that_nobody_reads_has_nothing_to_rewind(shop: RewindShop) -> None:
    shop.stream("unread", "orders")

    plan = shop.plan("unread")

    assert "nobody is registered" in plan.nothing
    assert shop.carry(plan) is None


def test_forward_is_no_rewind(shop: RewindShop) -> None:
    shop.carry(shop.plan(to=1))

    with pytest.raises(TargetAboveWatermark, match="use ADVANCE"):
        shop.plan(to=2)


def test_below_the_base_is_refused(shop: RewindShop) -> None:
    shop.stream("late", "orders", StreamOptions(at=AtVersion(2)))
    shop.feed("late", "report")

    with pytest.raises(RewindRefused) as refused:
        shop.plan("late", to=1)
    assert refused.value.reason == "BELOW_BASE"


def test_several_consumers_are_refused_with_the_list_unless_all_are_meant(
    shop: RewindShop,
) -> None:
    shop.create("second", key=())
    shop.feed("s", "second")
    shop.do(lambda tx: lifecycle.add_consumer(tx, shop.find("s"), "mailer"))

    with pytest.raises(RewindRefused, match="report, second, mailer") as refused:
        shop.plan(to=1)
    assert refused.value.reason == "SEVERAL_CONSUMERS"

    shop.carry(shop.plan(to=1, consumer="*"))

    assert [shop.position("s", name) for name in ("report", "second", "mailer")] == [1, 1, 0]


def test_other_consumers_are_never_touched_by_a_plain_rewind(shop: RewindShop) -> None:
    shop.create("second", key=())
    shop.feed("s", "second")

    shop.carry(shop.plan(to=0, consumer="second"))

    assert (shop.position("s", "report"), shop.position("s", "second")) == (3, 0)


def test_initial_rows_can_be_read_again(shop: RewindShop) -> None:
    shop.create("second", key=())
    shop.stream("i", "orders", INITIALLY)
    shop.feed("i", "second")

    plan = shop.plan("i", to=Mark.INITIAL, restore=True)
    assert plan.changes == 3
    shop.carry(plan)

    assert shop.rows("second") == []
    assert shop.feed("i", "second") == Window(INITIAL, 3)
    with pytest.raises(RewindRefused) as refused:
        shop.plan("s", to=Mark.INITIAL)
    assert refused.value.reason == "NO_INITIAL_ROWS"


# Restores


def test_a_restore_puts_the_table_back_with_the_watermark(shop: RewindShop) -> None:
    row_ids = shop.row_ids("report")

    plan = shop.restore(to=1)

    assert (plan.targets[0].taken_away, plan.targets[0].back_to) == (2, 1)
    assert shop.rows("report") == [(1, "n1")]
    assert shop.row_ids("report") == row_ids[:1]
    assert shop.position("s", "report") == 1
    assert shop.feed("s", "report") == Window(1, 3)
    assert [row for row in shop.rows("report")] == [(1, "n1"), (2, "n2"), (3, "n3")]


def test_a_place_inside_a_consumed_window_goes_to_the_boundary_below_it(
    shop: RewindShop,
) -> None:
    for number in (4, 5, 6):
        shop.insert("orders", (number, "x"))
    shop.feed("s", "report")

    plan = shop.plan(to=5, restore=True)

    assert plan.moves[0].end == 3
    assert "inside a window" in plan.warnings[0]
    shop.carry(plan)
    assert shop.position("s", "report") == 3
    assert len(shop.rows("report")) == 3


def test_a_window_that_wrote_nothing_is_a_boundary_too(shop: RewindShop) -> None:
    shop.update("orders", {1: (1, "changed")})
    with shop.transaction() as tx:
        shop.consume(tx, "s", "report")
    shop.insert("orders", (5, "five"))
    shop.feed("s", "report")

    shop.restore(to=4)

    assert shop.position("s", "report") == 4
    assert len(shop.rows("report")) == 3


def test_a_restore_to_the_registration_empties_what_was_fed(shop: RewindShop) -> None:
    shop.restore()

    assert shop.rows("report") == []
    assert shop.position("s", "report") == 0


def test_what_stood_in_the_target_before_the_registration_stays(shop: RewindShop) -> None:
    shop.create("second", key=())
    shop.insert("second", (99, "mine"))
    shop.feed("s", "second")

    shop.restore(consumer="second")

    assert shop.rows("second") == [(99, "mine")]


def test_a_table_made_by_its_first_consumption_goes_back_to_empty_never_away(
    shop: RewindShop,
) -> None:
    with shop.transaction() as tx:
        made = lifecycle.create_table(tx, "made", [ColumnSpec("id", SqlType.parse("INT"))])
        used = consume(tx, find_stream(tx.catalog, "s"), made)
        tx.insert(made, [(number,) for number in used.table().column("id").to_pylist()])
    assert len(shop.rows("made")) == 3

    shop.restore(consumer="made")

    assert shop.rows("made") == []
    assert shop.feed("s", "report") == Window(3, 3)


def test_updates_deletes_and_swapped_keys_are_taken_back_under_their_row_ids(
    shop: RewindShop,
) -> None:
    shop.create("keyed")
    shop.insert("keyed", (1, "a"), (2, "b"), (3, "c"))
    ids = shop.row_ids("keyed")
    with shop.transaction() as tx:
        shop.consume(tx, "s", "keyed")
    with shop.transaction() as tx:
        shop.insert("orders", (7, "x"))
    with shop.transaction() as tx:
        shop.consume(tx, "s", "keyed")
        shop.update("keyed", {1: (2, "A"), 2: (1, "B")}, tx=tx)
        shop.delete("keyed", 3, tx=tx)
        shop.insert("keyed", (3, "new"), (4, "d"), tx=tx)

    shop.restore(to=3, consumer="keyed")

    assert shop.rows("keyed") == [(1, "a"), (2, "b"), (3, "c")]
    assert shop.row_ids("keyed") == ids


def test_a_restore_brings_rows_back_in_todays_schema(shop: RewindShop) -> None:
    with shop.transaction() as tx:
        shop.consume(tx, "s", "report", Bounds(upto=3))
        tx.truncate(shop.table("report", tx))
    shop.insert("orders", (8, "x"))
    shop.do(
        lambda tx: ddl.add_column(
            tx, shop.table("report", tx), ColumnSpec("size", SqlType.parse("INT"), default=5)
        )
    )
    with shop.transaction() as tx:
        shop.consume(tx, "s", "report")
    assert shop.rows("report") == []

    shop.restore(to=2)

    assert shop.rows("report") == [(1, "n1", 5), (2, "n2", 5)]


def test_the_last_boundary_counts_after_a_restore(shop: RewindShop) -> None:
    shop.restore(to=1)
    with shop.transaction() as tx:
        shop.consume(tx, "s", "report")
        shop.insert("report", (50, "rewritten"), tx=tx)

    shop.restore(to=2)

    assert shop.position("s", "report") == 1
    assert shop.rows("report") == [(1, "n1")]


def test_a_plain_rewind_makes_no_boundary_nor_does_what_follows_it(shop: RewindShop) -> None:
    shop.carry(shop.plan(to=1))
    shop.feed("s", "report", Bounds(upto=2))
    shop.feed("s", "report")
    assert len(shop.rows("report")) == 5

    plan = shop.restore(to=2)

    assert plan.moves[0].end == 2
    assert shop.rows("report") == [(1, "n1"), (2, "n2")]
    shop.feed("s", "report")
    assert shop.rows("report") == [(1, "n1"), (2, "n2"), (3, "n3")]


# Several streams, several targets


def test_two_streams_into_one_table_go_back_together(shop: RewindShop) -> None:
    shop.create("visits")
    shop.stream("v", "visits")
    shop.insert("visits", (100, "first"))
    shop.feed("v", "report")
    shop.insert("orders", (4, "n4"))
    shop.feed("s", "report")
    shop.insert("visits", (101, "second"))
    shop.feed("v", "report")

    plan = shop.restore("s", to=3)

    assert {(m.stream, m.start, m.end) for m in plan.moves} == {("s", 4, 3), ("v", 2, 0)}
    assert any("goes with it" in warning for warning in plan.warnings)
    # The boundary is the commit that took s to v3; all of v came in after it.
    assert (shop.position("s", "report"), shop.position("v", "report")) == (3, 0)
    assert shop.rows("report") == [(1, "n1"), (2, "n2"), (3, "n3")]
    shop.feed("s", "report")
    shop.feed("v", "report")
    assert len(shop.rows("report")) == 6


def test_a_join_of_two_streams_goes_back_as_one(shop: RewindShop) -> None:
    shop.create("visits")
    shop.create("joined", key=())
    shop.stream("v", "visits")
    shop.insert("visits", (1, "v"))
    with shop.transaction() as tx:
        shop.consume(tx, "s", "joined")
        shop.consume(tx, "v", "joined")
        shop.insert("joined", (1, "both"), tx=tx)

    shop.restore("v", consumer="joined")

    assert shop.rows("joined") == []
    assert (shop.position("s", "joined"), shop.position("v", "joined")) == (0, 0)
    assert shop.position("s", "report") == 3


def test_another_target_of_the_same_commit_is_left_alone(shop: RewindShop) -> None:
    shop.create("second", key=())
    shop.insert("orders", (4, "n4"))
    with shop.transaction() as tx:
        shop.consume(tx, "s", "report")
        shop.consume(tx, "s", "second")
        shop.insert("report", (4, "n4"), tx=tx)
        shop.insert("second", (4, "n4"), tx=tx)

    shop.restore(to=3, consumer="report")

    assert (shop.position("s", "report"), shop.position("s", "second")) == (3, 4)
    assert shop.rows("second") == [(4, "n4")]


def test_a_shared_stream_restores_every_table_it_fed(shop: RewindShop) -> None:
    for name in ("second", "third"):
        shop.create(name, key=())
    shop.stream("one", "orders", SHARED)
    shop.feed("one", "second")
    shop.insert("orders", (4, "n4"))
    with shop.transaction() as tx:
        shop.consume(tx, "one", "second")
        shop.consume(tx, "one", "third")
        shop.insert("second", (4, "n4"), tx=tx)
        shop.insert("third", (4, "n4"), tx=tx)
    shop.insert("orders", (5, "n5"))
    shop.feed("one", "third")

    plan = shop.restore("one", to=3)

    assert {target.name for target in plan.targets} == {"second", "third"}
    # The stream began at v3: its first window was empty.
    assert (shop.rows("second"), shop.rows("third")) == ([], [])
    assert shop.position("one", "SHARED") == 3
    shop.carry(shop.plan_undo("one"))
    assert (len(shop.rows("second")), len(shop.rows("third"))) == (1, 2)
    assert shop.position("one", "SHARED") == 5


def test_a_shared_stream_has_no_consumer_by_name(shop: RewindShop) -> None:
    shop.stream("one", "orders", SHARED)
    shop.feed("one", "report")

    with pytest.raises(SharedRefuses):
        shop.plan("one", consumer="report")


def test_a_shared_watermark_taken_back_takes_its_other_targets_with_it(shop: RewindShop) -> None:
    shop.create("second", key=())
    shop.stream("one", "orders", SHARED)
    shop.insert("orders", (4, "n4"))
    with shop.transaction() as tx:
        shop.consume(tx, "one", "report")
        shop.consume(tx, "one", "second")
        shop.insert("report", (4, "by one"), tx=tx)
        shop.insert("second", (4, "by one"), tx=tx)
    shop.feed("s", "report")

    shop.restore("s", to=3)

    assert (shop.position("s", "report"), shop.position("one", "SHARED")) == (3, 3)
    assert len(shop.rows("report")) == 3
    assert shop.rows("second") == []


# Refusals, by name


def reasons(plan: RewindPlan) -> list[str]:
    return [refusal.reason for refusal in plan.refusals]


def test_a_target_that_somebody_else_changed_is_refused_with_the_commits(
    shop: RewindShop,
) -> None:
    shop.insert("report", (77, "by hand"))
    by_hand = shop.last()
    before = shop.state()

    plan = shop.plan(to=1, restore=True)

    assert reasons(plan) == ["TARGET_CHANGED"]
    assert [(other.commit_id, other.changes) for other in plan.others] == [(by_hand.commit_id, 1)]
    with pytest.raises(RewindRefused, match=by_hand.commit_id):
        shop.carry(plan)
    assert shop.state() == before


def test_force_discards_what_others_changed_and_counts_it(shop: RewindShop) -> None:
    shop.insert("report", (77, "by hand"))

    plan = shop.restore(to=1, force=True)

    assert [other.changes for other in plan.others] == [1]
    assert shop.rows("report") == [(1, "n1")]


def test_changes_before_the_boundary_stand_in_nobodys_way(shop: RewindShop) -> None:
    shop.insert("report", (77, "by hand"))
    shop.insert("orders", (4, "n4"))
    shop.feed("s", "report")
    shop.insert("orders", (5, "n5"))
    shop.feed("s", "report")

    shop.restore(to=4)

    assert [row[0] for row in shop.rows("report")] == [1, 2, 3, 77, 4]


def test_what_a_dropped_consumer_wrote_is_somebody_elses(shop: RewindShop) -> None:
    shop.create("visits")
    shop.stream("v", "visits")
    shop.insert("visits", (100, "first"))
    shop.feed("v", "report")
    shop.do(lambda tx: lifecycle.drop_consumer(tx, shop.find("v"), "report"))

    assert reasons(shop.plan("s", to=1, restore=True)) == ["TARGET_CHANGED"]


def test_a_consumer_without_a_table_has_nothing_to_restore(shop: RewindShop) -> None:
    with shop.transaction() as tx:
        consume(tx, find_stream(tx.catalog, "s"), "mailer")

    plan = shop.plan(consumer="mailer", restore=True)

    assert reasons(plan) == ["NO_TABLE"]
    with pytest.raises(RewindRefused, match="mailer"):
        shop.carry(plan)
    shop.carry(shop.plan(consumer="mailer"))
    assert shop.position("s", "mailer") == 0


def test_a_place_below_the_registration_has_no_boundary(shop: RewindShop) -> None:
    shop.create("second", key=())
    shop.do(
        lambda tx: lifecycle.add_consumer(
            tx, shop.find("s"), shop.table("second", tx), AtVersion(2)
        )
    )
    shop.feed("s", "second")

    assert reasons(shop.plan(consumer="second", to=1, restore=True)) == ["NO_BOUNDARY"]


def test_a_dropped_or_replaced_target_is_refused_by_name(shop: RewindShop) -> None:
    shop.do(lambda tx: lifecycle.drop_table(tx, shop.table("report", tx)))
    with pytest.raises(RewindRefused, match="table report") as refused:
        shop.plan(consumer="report", restore=True)
    assert refused.value.reason == "TARGET_DROPPED"

    shop.create("report", key=())
    with pytest.raises(RewindRefused, match="table report") as refused:
        shop.plan(consumer="report", restore=True)
    assert refused.value.reason == "TARGET_REPLACED"


def test_a_table_that_a_shared_stream_fed_and_is_gone_is_refused_by_name(
    shop: RewindShop,
) -> None:
    shop.create("second", key=())
    shop.stream("one", "orders", SHARED)
    shop.insert("orders", (4, "n4"))
    shop.feed("one", "second")
    shop.do(lambda tx: lifecycle.drop_table(tx, shop.table("second", tx)))

    assert reasons(shop.plan("one", restore=True)) == ["TARGET_DROPPED"]


# Plans


def test_a_plan_is_outdated_once_its_watermark_has_moved(shop: RewindShop) -> None:
    plan = shop.plan(to=1)
    shop.insert("orders", (4, "n4"))
    shop.feed("s", "report")
    before = shop.state()

    with pytest.raises(PlanOutdated, match="report"):
        shop.carry(plan)
    assert shop.state() == before


def test_a_plan_is_outdated_once_its_target_has_moved(shop: RewindShop) -> None:
    plan = shop.plan(to=1, restore=True)
    shop.insert("report", (77, "by hand"))

    with pytest.raises(PlanOutdated, match="table report"):
        shop.carry(plan)


def test_a_plan_is_outdated_once_its_stream_was_altered(shop: RewindShop) -> None:
    plan = shop.plan(to=1)
    shop.alter("s", StreamOptions(policy=RewindPolicy.FORBID))

    with pytest.raises(PlanOutdated, match="altered"):
        shop.carry(plan)


def test_an_outdated_plan_names_the_consumer_as_it_is_shown(shop: RewindShop) -> None:
    shop.do(lambda tx: ddl.rename_table(tx, shop.table("report", tx), "summary"))
    plan = shop.plan(to=1)
    shop.do(lambda tx: lifecycle.drop_table(tx, shop.table("summary", tx)))

    with pytest.raises(PlanOutdated, match="consumer summary was altered"):
        shop.carry(plan)


def test_new_commits_to_the_source_leave_a_plan_current(shop: RewindShop) -> None:
    plan = shop.plan(to=1)
    shop.insert("orders", (4, "n4"))

    shop.carry(plan)

    assert shop.position("s", "report") == 1


def test_a_plan_can_be_carried_out_once(shop: RewindShop) -> None:
    plan = shop.plan(to=1)
    shop.carry(plan)

    with pytest.raises(PlanOutdated):
        shop.carry(plan)


def test_of_a_rewind_and_a_consumption_exactly_one_wins(shop: RewindShop) -> None:
    for number in range(10, 20):
        shop.insert("orders", (number, "x"))
        plan = shop.plan(to=3, restore=True)
        outcomes: list[str] = []

        def rewinding(plan: RewindPlan = plan, outcomes: list[str] = outcomes) -> None:
            try:
                shop.carry(plan)
                outcomes.append("rewound")
            except PlanOutdated:
                outcomes.append("outdated")

        thread = threading.Thread(target=rewinding)
        thread.start()
        with suppress(WriteConflict):  # then the rewind was first
            shop.feed("s", "report")
        thread.join(30)
        at = shop.position("s", "report")
        assert outcomes in (["rewound"], ["outdated"])
        assert len(shop.rows("report")) == at
        if plan.nothing:
            continue
        if outcomes == ["outdated"]:
            assert at == shop.head("orders")
        shop.restore(to=3)


def test_a_restore_is_refused_when_its_target_changes_before_the_commit(
    shop: RewindShop,
) -> None:
    plan = shop.plan(to=1, restore=True)
    tx = Transaction(shop.log)
    execute(tx, plan)
    shop.insert("report", (77, "meanwhile"))

    with pytest.raises(WriteConflict, match="report"):
        tx.commit()
    assert len(shop.rows("report")) == 4


def test_downstream_consumers_of_the_target_are_listed_and_warned(shop: RewindShop) -> None:
    shop.create("copy", key=())
    shop.stream("all", "report", StreamOptions(at=AtVersion(0)))
    shop.stream("inserts", "report", StreamOptions(at=AtVersion(0), capture=Capture.INSERT_ONLY))
    shop.feed("all", "copy")
    shop.do(lambda tx: lifecycle.add_consumer(tx, shop.find("inserts"), "mailer", Mark.HEAD))

    plan = shop.plan(to=1, restore=True)

    assert [(d.stream, d.consumer, d.watermark) for d in plan.downstream] == [
        ("all", "copy", 3),
        ("inserts", "mailer", 3),
    ]
    assert any("mailer" in warning and "again" in warning for warning in plan.warnings)
    shop.carry(plan)
    assert [row[:2] for row in shop.read("all", 3, 4)] == [("DELETE", False)] * 2

    undoing = shop.plan_undo()
    assert any("2 rows again" in warning for warning in undoing.warnings)


def test_a_plan_tells_in_words_what_it_would_do(shop: RewindShop) -> None:
    shop.insert("report", (77, "by hand"))

    told = str(shop.plan(to=1, restore=True))

    assert "restore of report on stream s: v3 -> v1, 2 changes" in told
    assert "table report: v4 back to v1: 3 rows go, 0 come back, 0 change" in told
    assert "of tester at 2025-" in told
    assert "refused: table report" in told


# Policies, audit, history


def test_a_forbidden_rewind_is_refused_and_audited(shop: RewindShop) -> None:
    shop.alter("s", StreamOptions(policy=RewindPolicy.FORBID))

    with pytest.raises(PolicyForbids):
        shop.carry(shop.plan(to=1, reason="please"))

    assert shop.position("s", "report") == 3
    assert audited(shop)[-1][:2] == ("rewind refused", "tester")


def test_a_policy_that_wants_a_reason_gets_one_on_record(shop: RewindShop) -> None:
    shop.alter("s", StreamOptions(policy=RewindPolicy.REQUIRE_REASON))
    with pytest.raises(ReasonRequired):
        shop.carry(shop.plan(to=1, reason=" "))

    shop.carry(shop.plan(to=1, reason="late correction"))

    what, actor, detail = audited(shop)[-1]
    assert (what, actor, detail["reason"]) == ("rewind", "tester", "late correction")
    assert detail["moves"] == [{"consumer": "report", "stream": "s", "from": 3, "to": 1}]
    with shop.log.view() as view:
        last = list(history(view, shop.find("s")))[-1]
    assert (last.why, last.start, last.end, last.reason) == ("rewind", 3, 1, "late correction")
    assert last.target_version is None


def test_a_warning_policy_warns_and_lets_the_rewind_through(shop: RewindShop) -> None:
    shop.alter("s", StreamOptions(policy=RewindPolicy.WARN))

    plan = shop.plan(to=1)

    assert "WARN" in plan.warnings[0]
    shop.carry(plan)
    assert shop.position("s", "report") == 1


def audited(shop: RewindShop) -> list[tuple[str, str, dict[str, object]]]:
    with shop.log.view() as view:
        return [(row.what, row.actor, json.loads(row.detail)) for row in view.audit()]


# Advance


def test_an_advance_skips_changes_and_marks_a_boundary(shop: RewindShop) -> None:
    for number in (4, 5, 6):
        shop.insert("orders", (number, "x"))
    plan = shop.plan_advance(to=5)
    assert plan.changes == 2

    shop.carry(plan)

    assert shop.feed("s", "report") == Window(5, 6)
    shop.restore(to=5)
    assert (shop.position("s", "report"), len(shop.rows("report"))) == (5, 3)


def test_backward_is_no_advance(shop: RewindShop) -> None:
    with pytest.raises(TargetBelowWatermark, match="use REWIND"):
        shop.plan_advance(to=1)
    assert "already" in shop.plan_advance(to=Mark.HEAD).nothing


# Undo


def test_undoing_a_plain_rewind_puts_the_watermark_back(shop: RewindShop) -> None:
    shop.carry(shop.plan(to=1))

    shop.carry(shop.plan_undo(reason="wrong stream"))

    assert shop.position("s", "report") == 3
    assert len(shop.rows("report")) == 3
    shop.insert("orders", (4, "n4"))
    shop.feed("s", "report")
    shop.restore(to=3)
    assert len(shop.rows("report")) == 3


def test_undoing_the_second_of_two_rewinds_leaves_the_table_parted_as_the_first_did(
    shop: RewindShop,
) -> None:
    shop.carry(shop.plan(to=2))
    shop.carry(shop.plan(to=1))
    shop.carry(shop.plan_undo())
    assert shop.position("s", "report") == 2
    shop.feed("s", "report")

    shop.restore(to=2)

    assert shop.rows("report") == [(1, "n1"), (2, "n2")]


def test_undoing_a_restore_puts_watermarks_and_table_back(shop: RewindShop) -> None:
    shop.create("visits")
    shop.stream("v", "visits")
    shop.insert("visits", (100, "first"))
    shop.feed("v", "report")
    before, ids = shop.rows("report"), shop.row_ids("report")
    shop.restore("s", to=2)
    assert shop.position("v", "report") == 0

    plan = shop.plan_undo("s")
    shop.carry(plan)

    assert {(m.stream, m.start, m.end) for m in plan.moves} == {("s", 2, 3), ("v", 0, 1)}
    assert (shop.rows("report"), shop.row_ids("report")) == (before, ids)
    assert (shop.position("s", "report"), shop.position("v", "report")) == (3, 1)


def test_an_undo_is_refused_once_the_consumer_has_moved_on(shop: RewindShop) -> None:
    shop.carry(shop.plan(to=1))
    shop.feed("s", "report")

    with pytest.raises(RewindRefused) as refused:
        shop.plan_undo()
    assert refused.value.reason == "MOVED_SINCE"


def test_an_undo_is_refused_once_the_restored_table_was_changed(shop: RewindShop) -> None:
    shop.restore(to=1)
    shop.insert("report", (77, "by hand"))

    assert reasons(shop.plan_undo()) == ["TARGET_CHANGED"]
    shop.carry(shop.plan_undo(force=True))
    assert len(shop.rows("report")) == 3


def test_an_undo_is_refused_once_one_that_went_back_with_it_has_moved(shop: RewindShop) -> None:
    shop.create("visits")
    shop.stream("v", "visits")
    shop.insert("visits", (100, "first"))
    shop.feed("v", "report")
    shop.restore("s", to=2)
    with shop.transaction() as tx:
        shop.consume(tx, "v", "report")

    assert "MOVED_SINCE" in reasons(shop.plan_undo("s"))


def test_what_was_never_rewound_cannot_be_undone(shop: RewindShop) -> None:
    with pytest.raises(RewindRefused) as refused:
        shop.plan_undo()
    assert refused.value.reason == "NOTHING_TO_UNDO"
