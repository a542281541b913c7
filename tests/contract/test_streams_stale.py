"""What happens to consumers once history below them has expired.

No adapter expires history yet, so a view is wrapped that shows none below a horizon.
"""

from collections.abc import Iterator
from typing import cast

import pytest
from support_streams import Shop

from headwater.consumers import lifecycle
from headwater.consumers.backlog import has_data, lag, listing, lowest_position, stale_consumers
from headwater.consumers.consume import consume
from headwater.consumers.errors import StreamStale
from headwater.consumers.look import shown_window
from headwater.consumers.positions import AtTime, AtVersion, Mark, horizon, version_of
from headwater.consumers.read import read
from headwater.consumers.rewind import Ask, plan_advance, plan_rewind
from headwater.consumers.windows import Window
from headwater.log_store.errors import OutsideHistory
from headwater.log_store.port import Log, View
from headwater.log_store.records import VersionRow


class Trimmed:
    """A view whose tables have no version below their horizon."""

    def __init__(self, inner: View, horizons: dict[int, int]) -> None:
        self.inner, self.horizons = inner, horizons

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def version(self, table: int, version: int) -> VersionRow | None:
        if version < self.horizons.get(table, 0):
            return None
        return self.inner.version(table, version)


@pytest.fixture
def shop(log: Log) -> Shop:
    """Five versions of orders; report has consumed two of them, mailer four."""
    made = Shop(log)
    made.create("orders")
    made.create("report", key=())
    made.stream("s", "orders")
    for number in (1, 2):
        made.insert("orders", (number, "x"))
    made.feed("s", "report")
    for number in (3, 4):
        made.insert("orders", (number, "x"))
    made.do(lambda tx: lifecycle.add_consumer(tx, made.find("s"), "mailer", Mark.HEAD))
    made.insert("orders", (5, "x"))
    return made


@pytest.fixture
def view(shop: Shop) -> Iterator[View]:
    """The store once only v3 and later are kept of orders."""
    with shop.log.view() as inner:
        yield cast(View, Trimmed(inner, {shop.table("orders").id: 3}))


def test_the_horizon_is_the_oldest_version_that_is_kept(shop: Shop, view: View) -> None:
    orders = shop.table("orders").id

    assert horizon(view, orders) == 3
    assert horizon(view, shop.table("report").id) == 0
    for kept in range(6):
        with shop.log.view() as inner:
            assert horizon(cast(View, Trimmed(inner, {orders: kept})), orders) == kept


def test_a_stale_consumer_gets_its_watermark_the_horizon_and_the_ways_out(
    shop: Shop, view: View
) -> None:
    with pytest.raises(StreamStale, match=r"report stands at v2.*from v3.*ADVANCE") as stale:
        shown_window(view, shop.find("s"), "report")

    assert (stale.value.watermark, stale.value.horizon) == (2, 3)
    assert not stale.value.retryable


def test_a_stale_consumer_is_not_fed_and_nothing_is_reset(shop: Shop, view: View) -> None:
    with shop.transaction() as tx:
        with pytest.raises(StreamStale):
            tx.view = view
            consume(tx, shop.find("s"), shop.table("report"))
        assert not tx.moves
    assert shop.position("s", "report") == 2


def test_a_plain_select_leaves_stale_consumers_out(shop: Shop, view: View) -> None:
    stream = shop.find("s")

    assert stale_consumers(view, stream) == ["report"]
    assert lowest_position(view, stream) == 4
    assert shown_window(view, stream) == Window(4, 5)


def test_a_window_below_the_horizon_cannot_be_read(shop: Shop, view: View) -> None:
    with pytest.raises(StreamStale):
        list(read(view, shop.find("s"), Window(2, 5)))
    assert len(list(read(view, shop.find("s"), Window(3, 5)))) == 1


def test_the_listing_names_the_reason_and_no_lag(shop: Shop, view: View) -> None:
    report, mailer = listing(view, shop.find("s"), view.time_us)

    assert report.lag is None and "v3" in report.stale
    assert mailer.lag is not None and not mailer.stale
    assert has_data(view, shop.find("s"))
    with pytest.raises(StreamStale):
        lag(view, shop.find("s"), 2, view.time_us)


def test_a_stale_consumer_can_be_advanced_to_the_horizon(shop: Shop, view: View) -> None:
    plan = plan_advance(view, shop.find("s"), Ask(consumer="report", to=Mark.HORIZON))

    assert [(move.start, move.end) for move in plan.moves] == [(2, 3)]


def test_a_rewind_below_the_horizon_is_refused(shop: Shop, view: View) -> None:
    for place in (Mark.BASE, AtVersion(2), AtTime(1)):
        with pytest.raises(OutsideHistory):
            plan_rewind(view, shop.find("s"), Ask(consumer="mailer", to=place))
    assert plan_rewind(view, shop.find("s"), Ask(consumer="mailer", to=AtVersion(3))).moves


def test_a_boundary_below_the_targets_horizon_is_refused_by_name(shop: Shop) -> None:
    with shop.log.view() as inner:
        trimmed = cast(View, Trimmed(inner, {shop.table("report").id: 1}))
        plan = plan_rewind(trimmed, shop.find("s"), Ask(consumer="report", restore=True))

    assert [refusal.reason for refusal in plan.refusals] == ["BELOW_HORIZON"]
    assert plan.refusals[0].name == "table report"


def test_positions_outside_history_name_the_earliest_one(shop: Shop, view: View) -> None:
    with pytest.raises(OutsideHistory, match="kept from v3"):
        version_of(view, shop.table("orders"), AtVersion(2))
