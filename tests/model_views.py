"""The oracle's views: made and dropped, and what is seen through them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from model import Image, Model, Refused, State, Stream, Table, Value, View, shown

Look = Callable[[Image | None], Mapping[str, Value] | None]


def create_view(
    model: Model,
    name: str,
    on: str,
    least: int,
    shows: Sequence[str],
    *,
    replaces: bool = False,
) -> View:
    """CREATE [OR REPLACE] VIEW name AS SELECT shows FROM on WHERE v >= least."""
    table = model.state.table(on)
    old = [view for view in model.state.views.values() if view.live and view.name == name]
    if model.state.taken(name) and not (old and replaces):
        raise Refused("name taken")
    made = View(model.new_id(), name, table.id, "v", least, tuple(shows))
    model.record(definitions=[*(replace(view, live=False) for view in old), made])
    return made


def drop_view(model: Model, name: str) -> None:
    """DROP VIEW: streams on it are stale from now on."""
    model.record(definitions=[replace(find_view(model.state, name), live=False)])


def rename_view(model: Model, name: str, to: str) -> None:
    """ALTER VIEW .. RENAME TO: its streams stay with it."""
    view = find_view(model.state, name)
    if model.state.taken(to):
        raise Refused("name taken")
    model.record(definitions=[replace(view, name=to)])


def find_view(state: State, name: str) -> View:
    """The live view of that name."""
    for view in state.views.values():
        if view.live and view.name == name:
            return view
    raise Refused(f"no view {name}")


def look_of(state: State, stream: Stream) -> Look:
    """What a stream shows of an image; None for one that its view does not let through."""
    table = state.tables[stream.table]
    if stream.view is None:
        return lambda image: None if image is None else shown(table, image)
    view = state.views[stream.view]
    return lambda image: through(view, table, image)


def through(view: View, table: Table, image: Image | None) -> Mapping[str, Value] | None:
    """An image through a view; what the table lacks is NULL, and NULL passes no filter."""
    if image is None:
        return None
    row = shown(table, image)
    value = row.get(view.column)
    if not isinstance(value, int) or value < view.least:
        return None
    return {name: row.get(name) for name in view.shows}
