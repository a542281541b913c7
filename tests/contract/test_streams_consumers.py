"""Who reads a stream: windows in a transaction, registration, life cycle, lag and history."""

import threading

import pytest
from support_streams import Shop, shown

from headwater.consumers import lifecycle, streams
from headwater.consumers.backlog import backlog, lag, listing, stale_consumers, stream_row
from headwater.consumers.consume import consume, consume_for
from headwater.consumers.errors import (
    BoundsDiffer,
    ConsumerRefused,
    ConsumerTaken,
    ConsumerUnknown,
    SharedRefuses,
    WatermarksDiffer,
)
from headwater.consumers.history import history
from headwater.consumers.look import shown_window
from headwater.consumers.positions import AtTime, AtVersion, Mark, Position
from headwater.consumers.registration import find_consumer, name_of, registered
from headwater.consumers.streams import StreamOptions
from headwater.consumers.windows import Bounds, Window
from headwater.log_store.catalog import Capture, ConsumerKind, Sharing
from headwater.log_store.errors import OutsideHistory, WriteConflict
from headwater.log_store.port import Log
from headwater.log_store.records import INITIAL
from headwater.producer import ddl
from headwater.producer.names import find_stream
from headwater.producer.transaction import Transaction

INITIALLY = StreamOptions(initial_rows=True)
INSERT_ONLY = StreamOptions(capture=Capture.INSERT_ONLY)
SHARED = StreamOptions(sharing=Sharing.SHARED)


@pytest.fixture
def shop(log: Log) -> Shop:
    """A stream s on an empty table orders, and a table report that nothing feeds yet."""
    made = Shop(log)
    made.create("orders")
    made.create("report", key=())
    made.stream("s", "orders")
    return made


def add(shop: Shop, stream: str, name: str, at: Position = Mark.BASE) -> None:
    """Register a CLIENT."""
    shop.do(lambda tx: lifecycle.add_consumer(tx, shop.find(stream), name, at))


# Windows in a transaction


def test_effect_and_watermark_move_in_one_commit(shop: Shop) -> None:
    shop.insert("orders", (1, "a"))
    shop.insert("orders", (2, "b"))

    assert shop.feed("s", "report") == Window(0, 2)
    assert shop.rows("report") == [(1, "a"), (2, "b")]
    assert shop.position("s", "report") == 2
    shop.insert("orders", (3, "c"))
    assert shop.feed("s", "report") == Window(2, 3)
    assert shop.rows("report") == [(1, "a"), (2, "b"), (3, "c")]


def test_rollback_moves_nothing_and_registers_nobody(shop: Shop) -> None:
    shop.insert("orders", (1, "a"))
    tx = Transaction(shop.log)
    shop.consume(tx, "s", "report")
    tx.rollback()

    with pytest.raises(ConsumerUnknown):
        shop.position("s", "report")
    assert shop.feed("s", "report") == Window(0, 1)


def test_a_failed_statement_takes_its_window_back_with_it(shop: Shop) -> None:
    shop.insert("orders", (1, "a"))
    with shop.transaction() as tx:
        with pytest.raises(ZeroDivisionError), tx.statement():
            shop.consume(tx, "s", "report")
            raise ZeroDivisionError
        shop.insert("report", (9, "other"), tx=tx)

    with pytest.raises(ConsumerUnknown):
        shop.position("s", "report")
    with shop.transaction() as tx:
        with pytest.raises(ZeroDivisionError), tx.statement():
            shop.consume(tx, "s", "report")
            raise ZeroDivisionError
        with tx.statement():
            assert shop.consume(tx, "s", "report").window == Window(0, 1)
    assert shop.position("s", "report") == 1


def test_the_end_is_the_head_of_the_snapshot_never_own_writes(shop: Shop) -> None:
    shop.insert("orders", (1, "a"))
    with shop.transaction() as tx:
        shop.insert("orders", (2, "own"), tx=tx)
        shop.insert("orders", (3, "somebody else's"))
        used = shop.consume(tx, "s", "report")

        assert used.window == Window(0, 1)
        assert shown(used.table()) == [("INSERT", False, 1, (1, "a"))]

    assert shop.feed("s", "report") == Window(1, 3)


def test_several_statements_for_one_consumer_see_one_window(shop: Shop) -> None:
    shop.insert("orders", (1, "a"))
    with shop.transaction() as tx:
        with tx.statement():
            first = shop.consume(tx, "s", "report")
        with tx.statement():
            second = shop.consume(tx, "s", "report")

        assert first.window == second.window == Window(0, 1)
        assert [move.why for move in tx.moves] == ["register", "consume"]


def test_a_window_without_changes_is_consumed_like_any_other(shop: Shop) -> None:
    assert shop.feed("s", "report") == Window(0, 0)
    assert shop.position("s", "report") == 0


def test_two_bounds_on_one_stream_in_a_transaction_are_an_error(shop: Shop) -> None:
    shop.create("second", key=())
    shop.insert("orders", (1, "a"))
    with shop.transaction() as tx:
        shop.consume(tx, "s", "report", Bounds(limit_changes=1))
        with pytest.raises(BoundsDiffer, match="LIMIT CHANGES 1 .* UP TO VERSION 1"):
            shop.consume(tx, "s", "report", Bounds(upto=1))
        with pytest.raises(BoundsDiffer, match="without a bound"):
            shop.consume(tx, "s", "second")
        shop.consume(tx, "s", "second", Bounds(limit_changes=1))


def test_a_limit_consumes_whole_commits_and_at_least_one(shop: Shop) -> None:
    shop.insert("orders", (1, "a"), (2, "b"), (3, "c"))
    shop.insert("orders", (4, "d"))
    shop.update("orders", {1: (10, "a"), 2: (11, "b")})
    shop.insert("orders", (5, "e"))

    assert shop.feed("s", "report", Bounds(limit_changes=2)) == Window(0, 1)
    # A key change is two events and one change.
    assert shop.feed("s", "report", Bounds(limit_changes=3)) == Window(1, 3)
    assert shop.feed("s", "report", Bounds(limit_changes=3)) == Window(3, 4)


def test_several_targets_of_one_statement_stand_level_or_are_refused(shop: Shop) -> None:
    shop.create("second", key=())
    shop.insert("orders", (1, "a"))
    shop.feed("s", "report")
    shop.insert("orders", (2, "b"))

    with shop.transaction() as tx:
        targets = [shop.table("report", tx), shop.table("second", tx)]
        stream = find_stream(tx.catalog, "s")
        with pytest.raises(WatermarksDiffer, match="report at v1, second at v0"):
            consume_for(tx, stream, targets)
        assert not tx.moves

    shop.feed("s", "report")
    shop.feed("s", "second")
    shop.insert("orders", (3, "c"))
    with shop.transaction() as tx:
        assert consume_for(tx, stream, targets).window == Window(2, 3)
    assert shop.position("s", "report") == shop.position("s", "second") == 3


def test_consumers_do_not_touch_each_other(shop: Shop) -> None:
    shop.create("second", key=())
    shop.insert("orders", (1, "a"))
    shop.feed("s", "report")

    assert shop.has_data("s") is False
    shop.do(lambda tx: lifecycle.add_consumer(tx, shop.find("s"), "mailer"))
    assert shop.has_data("s") is True
    assert shop.has_data("s", "report") is False
    assert shop.position("s", "mailer") == 0
    assert shop.feed("s", "second") == Window(0, 1)


def test_a_program_consumes_under_its_own_name(shop: Shop) -> None:
    shop.insert("orders", (1, "a"))
    for end in (1, 1):
        with shop.transaction() as tx:
            used = consume(tx, find_stream(tx.catalog, "s"), "Mailer")
            assert used.window.upto == end

    assert shop.position("s", "mailer") == 1
    with shop.log.view() as view:
        (only,) = registered(view.catalog, shop.find("s"))
    assert (only.reader, only.name, only.target) == (ConsumerKind.CLIENT, "Mailer", None)


def test_a_table_consumer_moves_only_through_its_own_table(shop: Shop) -> None:
    shop.feed("s", "report")

    with shop.transaction() as tx, pytest.raises(ConsumerRefused, match="its own table"):
        consume(tx, find_stream(tx.catalog, "s"), "report")


# Races


def test_of_two_transactions_for_one_consumer_exactly_one_wins(shop: Shop) -> None:
    shop.feed("s", "report")
    shop.insert("orders", (1, "a"))
    first, second = Transaction(shop.log), Transaction(shop.log)
    for tx in (first, second):
        used = shop.consume(tx, "s", "report")
        tx.insert(shop.table("report", tx), [(1, "a")] * len(shown(used.table())))
    first.commit()

    with pytest.raises(WriteConflict):
        second.commit()
    assert shop.rows("report") == [(1, "a")]


def test_of_two_first_uses_exactly_one_registers(shop: Shop) -> None:
    first, second = Transaction(shop.log), Transaction(shop.log)
    for tx in (first, second):
        shop.consume(tx, "s", "report")
    first.commit()

    with pytest.raises(WriteConflict):
        second.commit()
    with shop.log.view() as view:
        assert len(registered(view.catalog, shop.find("s"))) == 1


def test_racing_threads_consume_each_change_once(shop: Shop) -> None:
    shop.feed("s", "report")
    total = 40

    def consumer() -> None:
        while len(shop.rows("report")) < total:
            try:
                shop.feed("s", "report")
            except WriteConflict:
                continue

    threads = [threading.Thread(target=consumer) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(total):
        shop.insert("orders", (number, "x"))
    for thread in threads:
        thread.join(60)

    assert sorted(shop.rows("report")) == [(number, "x") for number in range(total)]
    assert shop.position("s", "report") == total


def test_dropping_the_stream_or_the_target_meanwhile_refuses_the_consumption(shop: Shop) -> None:
    shop.insert("orders", (1, "a"))
    tx = Transaction(shop.log)
    shop.consume(tx, "s", "report")
    shop.do(lambda own: lifecycle.drop_table(own, shop.table("report", own)))
    with pytest.raises(WriteConflict):
        tx.commit()

    shop.do(lambda own: lifecycle.undrop_table(own, "report"))
    tx = Transaction(shop.log)
    shop.consume(tx, "s", "report")
    shop.do(lambda own: streams.drop_stream(own, shop.find("s")))
    with pytest.raises(WriteConflict):
        tx.commit()


# Initial rows


def test_initial_rows_come_first_and_once(shop: Shop) -> None:
    shop.insert("orders", (1, "a"), (2, "b"))
    shop.stream("i", "orders", INITIALLY)
    shop.insert("orders", (3, "c"))

    assert shop.has_data("i")
    assert shop.feed("i", "report", Bounds(limit_changes=1)) == Window(INITIAL, 1)
    assert shop.rows("report") == [(1, "a"), (2, "b")]
    assert shop.feed("i", "report") == Window(1, 2)
    assert shop.rows("report") == [(1, "a"), (2, "b"), (3, "c")]
    assert not shop.has_data("i", "report")


def test_an_empty_snapshot_is_a_step_without_rows(shop: Shop) -> None:
    shop.stream("i", "orders", INITIALLY)

    assert not shop.has_data("i")
    assert shop.feed("i", "report") == Window(INITIAL, 0)
    assert shop.rows("report") == []


# Registration


def test_a_consumer_can_be_added_where_it_is_to_start(shop: Shop) -> None:
    shop.insert("orders", (1, "a"))
    shop.insert("orders", (2, "b"))
    second = shop.last()
    shop.insert("orders", (3, "c"))
    at: dict[str, Position] = {
        "base": Mark.BASE,
        "head": Mark.HEAD,
        "horizon": Mark.HORIZON,
        "version": AtVersion(1),
        "time": AtTime(second.time_us),
    }
    for name, place in at.items():
        add(shop, "s", name, place)

    found = {name: shop.position("s", name) for name in at}
    assert found == {"base": 0, "head": 3, "horizon": 0, "version": 1, "time": 2}
    with pytest.raises(ConsumerTaken):
        shop.do(lambda tx: lifecycle.add_consumer(tx, shop.find("s"), "HEAD"))


def test_a_consumer_cannot_start_outside_its_stream(shop: Shop) -> None:
    shop.insert("orders", (1, "a"))
    later = shop.stream("later", "orders")

    for place in (AtVersion(0), AtVersion(2)):
        with pytest.raises(OutsideHistory):
            add(shop, later.name, "c", place)
    with pytest.raises(OutsideHistory, match="no initial rows"):
        shop.do(lambda tx: lifecycle.add_consumer(tx, later, "c", Mark.INITIAL))


def test_a_group_needs_a_store_on_kafka(shop: Shop) -> None:
    with pytest.raises(ConsumerRefused, match="AS CLIENT"):
        shop.do(lambda tx: lifecycle.add_consumer(tx, shop.find("s"), "g", kind=ConsumerKind.GROUP))


def test_a_dropped_consumer_begins_anew_when_it_comes_back(shop: Shop) -> None:
    shop.insert("orders", (1, "a"))
    shop.feed("s", "report")
    shop.do(lambda tx: lifecycle.drop_consumer(tx, shop.find("s"), "report"))

    with pytest.raises(ConsumerUnknown, match="it has none yet"):
        shop.position("s", "report")
    assert shop.feed("s", "report") == Window(0, 1)


# The life of a TABLE consumer


def test_rename_and_swap_carry_a_consumer_with_its_table(shop: Shop) -> None:
    shop.create("second", key=())
    shop.insert("orders", (1, "a"))
    shop.feed("s", "report")
    shop.do(lambda tx: ddl.rename_table(tx, shop.table("report", tx), "daily"))
    assert shop.position("s", "daily") == 1

    shop.do(lambda tx: ddl.swap_tables(tx, shop.table("daily", tx), shop.table("second", tx)))

    assert shop.position("s", "second") == 1
    assert shop.feed("s", "daily") == Window(0, 1)


def test_a_dropped_table_is_no_consumer_until_it_is_back(shop: Shop) -> None:
    shop.insert("orders", (1, "a"))
    shop.feed("s", "report")
    shop.do(lambda tx: lifecycle.drop_table(tx, shop.table("report", tx)))
    with shop.log.view() as view:
        assert registered(view.catalog, shop.find("s")) == []

    shop.do(lambda tx: lifecycle.undrop_table(tx, "report"))

    assert shop.position("s", "report") == 1


def test_a_replaced_table_is_a_new_consumer_at_the_base(shop: Shop) -> None:
    shop.insert("orders", (1, "a"))
    shop.feed("s", "report")

    shop.create("report", key=(), replaces=True)

    assert shop.feed("s", "report") == Window(0, 1)


def test_a_clone_goes_on_where_its_original_stood_at_the_cloned_place(shop: Shop) -> None:
    shop.insert("orders", (1, "a"))
    shop.feed("s", "report")
    shop.insert("orders", (2, "b"))
    shop.feed("s", "report")

    def clone(tx: Transaction) -> None:
        lifecycle.clone_table(tx, "now", shop.table("report", tx))
        lifecycle.clone_table(tx, "then", shop.table("report", tx), AtVersion(1))

    shop.do(clone)
    with shop.log.view() as view:
        assert len(registered(view.catalog, shop.find("s"))) == 1
    shop.insert("orders", (3, "c"))

    assert shop.feed("s", "now") == Window(2, 3)
    assert shop.feed("s", "then") == Window(1, 3)
    assert shop.rows("now") == shop.rows("then") == [(1, "a"), (2, "b"), (3, "c")]


# SHARED


def test_a_shared_stream_has_one_watermark_for_whoever_consumes(shop: Shop) -> None:
    shop.create("second", key=())
    shop.stream("one", "orders", SHARED)
    shop.insert("orders", (1, "a"))

    assert shop.feed("one", "report") == Window(0, 1)
    assert shop.feed("one", "second") == Window(1, 1)
    shop.insert("orders", (2, "b"))
    assert shop.feed("one", "second") == Window(1, 2)
    assert shop.position("one", "SHARED") == 2


def test_a_shared_stream_feeds_several_targets_of_one_transaction(shop: Shop) -> None:
    shop.create("second", key=())
    shop.stream("one", "orders", SHARED)
    shop.insert("orders", (1, "a"))

    with shop.transaction() as tx:
        first = shop.consume(tx, "one", "report")
        second = shop.consume(tx, "one", "second")
        assert first.window == second.window == Window(0, 1)
    assert shop.position("one", "SHARED") == 1


def test_a_shared_stream_refuses_consumers_by_name(shop: Shop) -> None:
    one = shop.stream("one", "orders", SHARED)

    with pytest.raises(SharedRefuses):
        shop.do(lambda tx: lifecycle.add_consumer(tx, one, "c"))
    with shop.transaction() as tx, pytest.raises(SharedRefuses):
        consume(tx, one, "c")


# Has-data, lag, backlog, history


def test_has_data_of_an_insert_only_stream_ignores_updates(shop: Shop) -> None:
    shop.insert("orders", (1, "a"))
    shop.stream("inserts", "orders", INSERT_ONLY)
    shop.update("orders", {1: (2, "b")})
    shop.delete("orders", 2)

    assert not shop.has_data("inserts")
    shop.insert("orders", (3, "c"))
    assert shop.has_data("inserts")


def test_lag_counts_versions_changes_bytes_and_seconds(shop: Shop) -> None:
    shop.insert("orders", (1, "a"), (2, "b"))
    first = shop.last()
    shop.update("orders", {1: (5, "a")})
    stream = shop.find("s")

    with shop.log.view() as view:
        behind = lag(view, stream, 0, first.time_us + 2_500_000)
        level = lag(view, stream, 2, first.time_us + 2_500_000)
        bytes_made = view.head(stream.table).counts.bytes

    assert (behind.versions, behind.changes, behind.bytes) == (2, 3, bytes_made)
    assert behind.seconds == 2.5
    assert (level.versions, level.changes, level.bytes, level.seconds) == (0, 0, 0, 0.0)


def test_lag_at_the_initial_rows_counts_them(shop: Shop) -> None:
    shop.insert("orders", (1, "a"), (2, "b"))
    stream = shop.stream("i", "orders", INITIALLY)
    shop.insert("orders", (3, "c"))

    with shop.log.view() as view:
        found = lag(view, stream, INITIAL, stream.created_us + 1_000_000)

    assert (found.versions, found.changes, found.seconds) == (1, 3, 1.0)


def test_the_backlog_is_a_row_for_each_unconsumed_version(shop: Shop) -> None:
    shop.insert("orders", (1, "a"))
    shop.feed("s", "report")
    shop.insert("orders", (2, "b"), (3, "c"))
    shop.update("orders", {1: (9, "a"), 2: (2, "B")})
    shop.delete("orders", 3)
    last = shop.last()

    with shop.log.view() as view:
        rows = list(backlog(view, shop.find("s")))

    assert [(r.version, r.inserts, r.updates, r.deletes) for r in rows] == [
        (2, 2, 0, 0),
        (3, 0, 2, 0),
        (4, 0, 0, 1),
    ]
    assert all(row.bytes > 0 for row in rows)
    assert (rows[-1].commit_id, rows[-1].time_us) == (last.commit_id, last.time_us)


def test_the_listing_shows_every_consumer_with_its_lag(shop: Shop) -> None:
    shop.insert("orders", (1, "a"))
    shop.feed("s", "report")
    shop.do(lambda tx: lifecycle.add_consumer(tx, shop.find("s"), "mailer"))

    with shop.log.view() as view:
        rows = listing(view, shop.find("s"), view.time_us)
        of_stream = stream_row(view, shop.find("s"))
        assert stale_consumers(view, shop.find("s")) == []

    assert [(r.consumer, r.kind, r.watermark, r.head) for r in rows] == [
        ("report", "TABLE", 1, 1),
        ("mailer", "CLIENT", 0, 1),
    ]
    assert [r.lag.changes for r in rows if r.lag] == [0, 1]
    assert (of_stream.table, of_stream.consumers, of_stream.has_data) == ("orders", 2, True)


def test_a_plain_select_shows_what_the_slowest_consumer_still_has(shop: Shop) -> None:
    shop.insert("orders", (1, "a"))
    shop.feed("s", "report")
    shop.insert("orders", (2, "b"))
    shop.do(lambda tx: lifecycle.add_consumer(tx, shop.find("s"), "mailer", Mark.HEAD))

    with shop.log.view() as view:
        assert shown_window(view, shop.find("s")) == Window(1, 2)
        assert shown_window(view, shop.find("s"), "mailer") == Window(2, 2)
        assert shown_window(view, shop.find("s"), bounds=Bounds(limit_changes=1)) == Window(1, 2)
        assert shown_window(view, shop.find("s"), "REPORT") == Window(1, 2)


def test_every_move_is_on_record_with_who_when_and_why(shop: Shop) -> None:
    shop.insert("orders", (1, "a"))
    shop.feed("s", "report")
    done = shop.last()
    shop.feed("s", "report", Bounds(limit_changes=5))

    with shop.log.view() as view:
        rows = list(history(view, shop.find("s")))

    assert [(r.consumer, r.why, r.start, r.end, r.target_version) for r in rows] == [
        ("report", "register", None, 0, 0),
        ("report", "consume", 0, 1, 1),
        ("report", "consume", 1, 1, 1),
    ]
    assert (rows[1].actor, rows[1].commit_id, rows[1].time_us) == (
        "tester",
        done.commit_id,
        done.time_us,
    )
    assert rows[2].note == {"bounds": "LIMIT CHANGES 5"}


def test_consumers_are_found_as_identifiers_are(shop: Shop) -> None:
    shop.do(lambda tx: lifecycle.add_consumer(tx, shop.find("s"), '"Exact"'))
    shop.feed("s", "report")

    with shop.log.view() as view:
        stream = shop.find("s")
        for name in ("exact", '"Exact"', "EXACT"):
            found = find_consumer(view.catalog, stream, name)
            assert name_of(view.catalog, found) == "Exact"
        assert find_consumer(view.catalog, stream, "public.report").target is not None
        with pytest.raises(ConsumerUnknown, match="it has Exact, report"):
            find_consumer(view.catalog, stream, '"EXACT"')


def test_of_two_that_find_nothing_to_consume_one_conflicts(shop: Shop) -> None:
    shop.feed("s", "report")
    first, second = Transaction(shop.log), Transaction(shop.log)
    for tx in (first, second):
        assert not shop.consume(tx, "s", "report").window
    first.commit()
    with pytest.raises(WriteConflict, match="watermark of consumer report"):
        second.commit()
    shop.feed("s", "report")
