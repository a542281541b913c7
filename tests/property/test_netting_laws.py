"""Laws of streams over any history: what a window nets to is what changed, however it is cut."""

from collections.abc import Sequence
from itertools import pairwise

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from support_events import EMPTY, Event, Image, StreamRow, events, images, plain

from headwater.consumers.captures import captured_changes, stream_rows, touched
from headwater.consumers.netting import Netting, net
from headwater.log_store.catalog import Capture
from headwater.log_store.replay import I64
from headwater.schemas.events import Events

# What is done to one row of a handful: insert, update, delete, change of the key.
Edit = tuple[str, int, int]
State = dict[int, Image]

edits = st.lists(
    st.tuples(st.sampled_from("cudk"), st.integers(1, 6), st.integers(0, 2)), max_size=40
)


def history(edits: Sequence[Edit], state: State) -> list[Event]:
    """Edits as the events they would make, those that cannot be left out; `state` moves along."""
    made: list[Event] = []
    for op, row, value in edits:
        old, new = state.get(row), (row, f"v{value}", None)
        seq = len(made) + 1
        match op, old:
            case "c", None:
                made.append(Event("c", row, None, new))
                state[row] = new
            case "u", (key, _, _):
                made.append(Event("u", row, old, (key, f"v{value}", None)))
                state[row] = (key, f"v{value}", None)
            case "d", (_, _, _):
                made.append(Event("d", row, old, None))
                del state[row]
            case "k", (key, name, _):
                moved = (key + 100 * (value + 1), name, None)
                made.append(Event("d", row, old, None, pair=seq + 1))
                made.append(Event("c", row, None, moved, pair=seq))
                state[row] = moved
            case _:
                continue
    return made


def numbered(made: Sequence[Event]) -> Events:
    """The events of a whole history, each commit one event or one key change."""
    return events(*made)


def apply(rows: Sequence[StreamRow], state: State) -> State:
    """A table after a stream's rows: DELETE takes exactly what is there, INSERT adds."""
    after = dict(state)
    for action, _, row, image in rows:
        if action == "DELETE":
            assert after.pop(row) == image
        else:
            assert row not in after
            after[row] = image
    return after


def netted(of: Events) -> list[StreamRow]:
    return plain(stream_rows(net(touched(of))))


def every(of: Events) -> list[StreamRow]:
    def nothing_earlier(wanted: I64) -> pa.Table:
        raise AssertionError(f"asked for {wanted}")

    return plain(stream_rows(captured_changes(of, Capture.ALL, nothing_earlier)))


@given(edits, edits)
def test_the_net_of_a_window_leads_from_its_start_to_its_end(
    before: list[Edit], window: list[Edit]
) -> None:
    state: State = {}
    history(before, state)
    start = dict(state)
    made = numbered(history(window, state))

    assert apply(netted(made), start) == state
    assert apply(every(made), start) == state


@given(edits, edits)
def test_the_net_names_each_changed_row_once_and_no_other(
    before: list[Edit], window: list[Edit]
) -> None:
    state: State = {}
    history(before, state)
    start = dict(state)
    rows = netted(numbered(history(window, state)))

    changed = {row for row in start.keys() | state.keys() if start.get(row) != state.get(row)}
    assert {row for _, _, row, _ in rows} == changed
    for row in changed:
        mine = [(action, update) for action, update, of, _ in rows if of == row]
        if row in start and row in state:
            assert mine == [("DELETE", True), ("INSERT", True)]
        else:
            assert mine == [("INSERT" if row in state else "DELETE", False)]


@given(edits, edits)
def test_net_rows_come_in_the_order_of_each_rows_last_change(
    before: list[Edit], window: list[Edit]
) -> None:
    state: State = {}
    history(before, state)
    made = history(window, state)
    last = {event.row: place for place, event in enumerate(made)}

    places = [last[row] for _, _, row, _ in netted(numbered(made))]
    assert places == sorted(places)


@given(edits, edits)
def test_netting_twice_is_netting_once(before: list[Edit], window: list[Edit]) -> None:
    state: State = {}
    history(before, state)
    once = net(touched(numbered(history(window, state))))

    assert plain(stream_rows(net(once))) == plain(stream_rows(once))


@given(edits, edits, st.lists(st.integers(0, 80), max_size=4), st.integers(1, 5))
def test_a_window_nets_the_same_however_it_is_cut(
    before: list[Edit], window: list[Edit], cuts: list[int], rows: int
) -> None:
    state: State = {}
    history(before, state)
    made = history(window, state)
    netting = Netting(EMPTY)
    places = sorted({0, len(made), *(cut for cut in cuts if cut < len(made))})
    for start, end in pairwise(places):
        netting.add(touched(events(*made[start:end], first_seq=start + 1)))

    parts = [row for batch in netting.batches(rows) for row in plain(stream_rows(batch))]
    assert parts == netted(numbered(made))


@given(edits, edits)
def test_all_is_every_event_with_key_changes_paired(before: list[Edit], window: list[Edit]) -> None:
    state: State = {}
    history(before, state)
    made = history(window, state)
    rows = every(numbered(made))

    deletes = sum(event.op in "ud" for event in made)
    inserts = sum(event.op in "uc" for event in made)
    assert [row[0] for row in rows].count("DELETE") == deletes
    assert [row[0] for row in rows].count("INSERT") == inserts
    for place, (action, update, row, _) in enumerate(rows):
        if action == "DELETE" and update:
            assert (rows[place + 1][:3]) == ("INSERT", True, row)


@given(edits, edits)
def test_insert_only_is_the_inserts_of_all(before: list[Edit], window: list[Edit]) -> None:
    state: State = {}
    history(before, state)
    of = numbered(history(window, state))

    alone = plain(stream_rows(captured_changes(of, Capture.INSERT_ONLY, lambda _: images([]))))
    assert alone == [row for row in every(of) if row[:2] == ("INSERT", False)]
