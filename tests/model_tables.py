"""The oracle's definitions: the life of tables and columns. Each call is one commit."""

from collections.abc import Sequence
from dataclasses import replace

from model import Column, Consumer, Definition, Event, Model, Refused, Table, Value


def create_table(
    model: Model,
    name: str,
    columns: Sequence[str],
    key: Sequence[str] = (),
    *,
    replaces: bool = False,
) -> Table:
    """CREATE [OR REPLACE] TABLE; a replaced table is dropped in the same commit."""
    old = [t for t in model.state.tables.values() if t.live and t.name == name]
    if model.state.taken(name) and not (old and replaces):
        raise Refused("name taken")
    made = tuple(Column(n + 1, column) for n, column in enumerate(columns))
    keys = tuple(column.id for column in made if column.name in key)
    table = Table(model.new_id(), name, made, keys, len(made) + 1)
    gone = [change for table_ in old for change in _dropped(model, table_)]
    model.record(definitions=[*gone, table])
    return table


def _dropped(model: Model, table: Table) -> list[Definition]:
    """What DROP changes: the table, and the consumers whose target it was."""
    retired = [
        replace(consumer, live=False)
        for consumer in model.state.consumers.values()
        if consumer.live and consumer.target == table.id
    ]
    return [replace(table, live=False), *retired]


def drop_table(model: Model, name: str) -> None:
    """DROP TABLE: streams on it are stale from now on, consumers that write it retire."""
    model.record(definitions=_dropped(model, model.state.table(name)))


def undrop_table(model: Model, name: str) -> None:
    """UNDROP TABLE: the one of that name that was dropped last, with its consumers."""
    if model.state.taken(name):
        raise Refused("name taken")
    dropped = [table for table in model.state.tables.values() if table.name == name]
    if not dropped:
        raise Refused(f"no table {name}")
    table = max(dropped, key=lambda t: model.state.changed[Table, t.id])
    fell = model.state.changed[Table, table.id]
    carried = [
        replace(consumer, live=True)
        for consumer in model.state.consumers.values()
        if consumer.target == table.id
        and not consumer.live
        and model.state.changed[Consumer, consumer.id] == fell
        and model.state.streams[consumer.stream].live
    ]
    model.record(definitions=[replace(table, live=True), *carried])


def rename_table(model: Model, name: str, to: str) -> None:
    """ALTER TABLE .. RENAME TO: streams and consumers hold on to the table's id."""
    table = model.state.table(name)
    if model.state.taken(to):
        raise Refused("name taken")
    model.record(definitions=[replace(table, name=to)])


def swap_tables(model: Model, a: str, b: str) -> None:
    """ALTER TABLE a SWAP WITH b: two names change hands."""
    one, two = model.state.table(a), model.state.table(b)
    model.record(definitions=[replace(one, name=b), replace(two, name=a)])


def clone_table(model: Model, name: str, source: str, version: int | None = None) -> Table:
    """CREATE TABLE .. CLONE: v0, and its rows as v1 under their old row ids.

    It takes over the watermarks of streams into the original, as of the cloned place.
    """
    original = model.state.table(source)
    if model.state.taken(name):
        raise Refused("name taken")
    place = model.state
    if version is not None and version != model.state.heads[original.id]:
        least, most = model.state.horizon(original.id), model.state.heads[original.id]
        if not least <= version <= most:
            raise Refused("outside history")
        # The last place at which the table stood at that version.
        place = [s for s in model.states if s.heads.get(original.id) == version][-1]
    seeds = dict(original.seeds) | {
        consumer.stream: place.marks[consumer.id]
        for consumer in place.consumers.values()
        if consumer.live and consumer.target == original.id
    }
    table = replace(original, id=model.new_id(), name=name, seeds=seeds)
    image_of = place.rows[original.id]
    current = {
        row: {c.id: image.get(c.id, c.fill) for c in original.columns}
        for row, (_, image) in sorted(image_of.items())
    }
    arrivals = [Event("c", row, None, image) for row, image in current.items()]
    model.next_row[table.id] = model.next_row.get(original.id, 1)
    model.record({table.id: arrivals} if arrivals else {}, definitions=[table])
    return table


def add_column(model: Model, name: str, column: str, fill: Value = None) -> None:
    """ALTER TABLE ADD COLUMN: old images read as `fill`."""
    table = model.state.table(name)
    if any(known.name == column for known in table.columns):
        raise Refused("name taken")
    new = Column(table.next_column, column, fill)
    _alter(model, table, (*table.columns, new), table.next_column + 1)


def drop_column(model: Model, name: str, column: str) -> None:
    """ALTER TABLE DROP COLUMN: gone from all history as it is shown."""
    table = model.state.table(name)
    left = tuple(known for known in table.columns if known.name != column)
    if len(left) == len(table.columns):
        raise Refused("no such column")
    if not left:
        raise Refused("last column")
    if {known.id for known in table.columns} - {known.id for known in left} <= set(table.key):
        raise Refused("key column")
    _alter(model, table, left, table.next_column)


def rename_column(model: Model, name: str, column: str, to: str) -> None:
    """ALTER TABLE RENAME COLUMN: the id stays."""
    table = model.state.table(name)
    if any(known.name == to for known in table.columns):
        raise Refused("name taken")
    renamed = tuple(
        replace(known, name=to) if known.name == column else known for known in table.columns
    )
    _alter(model, table, renamed, table.next_column)


def _alter(model: Model, table: Table, columns: tuple[Column, ...], next_column: int) -> None:
    model.record(definitions=[replace(table, columns=columns, next_column=next_column)])
