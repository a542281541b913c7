"""The oracle's statements over two relations: MERGE, UPDATE .. FROM, DELETE .. USING.

Rows match by equal `id`; a source row is its values by name, and of a stream its action besides.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from model import Event, Image, Named, Refused, Table, Value, shown
from model_transaction import Tx


@dataclass(frozen=True)
class Source:
    """A row of the source; `action` and `is_update` are those of a stream's rows."""

    values: Named
    action: str = ""
    is_update: bool = False


def always(source: Source) -> bool:
    """A WHEN without a condition."""
    return bool(source) or True


@dataclass(frozen=True)
class When:
    """One WHEN clause: UPDATE sets `v`, INSERT takes the source's row.

    `side` is MATCHED, NOT MATCHED (by target) or BY SOURCE, which tests the target's own row.
    """

    side: str
    verb: str
    test: Callable[[Source], bool] = always


def merge(tx: Tx, name: str, sources: Sequence[Source], whens: Sequence[When]) -> int:
    """One MERGE statement; returns how many rows it inserted, updated or deleted."""
    table = tx.snapshot.table(name)
    images = tx.images(table)
    done: dict[int, Event] = {}
    fresh: list[Named] = []
    met: set[int] = set()
    for source in sources:
        hits = _hits(table, images, source.values)
        met |= set(hits)
        for row in hits:
            when = _first(whens, "MATCHED", source)
            if when is None:
                continue
            if row in done:
                raise Refused("several source rows trigger a clause")
            done[row] = _event(table, row, images[row], when, source.values.get("v"))
        if not hits and _first(whens, "NOT MATCHED", source) is not None:
            fresh.append(source.values)
    for row in images.keys() - met:
        own = Source(shown(table, images[row]))
        when = _first(whens, "BY SOURCE", own)
        if when is not None:
            done[row] = _event(table, row, images[row], when, -1)
    first = tx.model.next_row.setdefault(table.id, 1)
    tx.model.next_row[table.id] = first + len(fresh)
    inserts = [
        Event("c", first + n, None, {c.id: row.get(c.name, c.fill) for c in table.columns})
        for n, row in enumerate(fresh)
    ]
    tx.statement(table, [done[row] for row in sorted(done)] + inserts)
    return len(done) + len(inserts)


def update_from(tx: Tx, name: str, sources: Sequence[Named]) -> int:
    """UPDATE t SET v = s.v FROM s WHERE t.id = s.id; returns how many rows."""
    table = tx.snapshot.table(name)
    events: list[Event] = []
    for row, image in tx.images(table).items():
        found = [one for one in sources if _same(shown(table, image), one)]
        if len(found) > 1:
            raise Refused("several source rows for one row")
        if found:
            events.append(_event(table, row, image, When("MATCHED", "UPDATE"), found[0].get("v")))
    tx.statement(table, events)
    return len(events)


def delete_using(tx: Tx, name: str, sources: Sequence[Named]) -> int:
    """DELETE FROM t USING s WHERE t.id = s.id; returns how many rows."""
    return tx.delete(name, lambda row: any(_same(row, one) for one in sources))


def _hits(table: Table, images: Mapping[int, Image], source: Named) -> list[int]:
    return [row for row, image in images.items() if _same(shown(table, image), source)]


def _same(one: Named, other: Named) -> bool:
    return one["id"] is not None and one["id"] == other["id"]


def _first(whens: Sequence[When], side: str, source: Source) -> When | None:
    return next((one for one in whens if one.side == side and one.test(source)), None)


def _event(table: Table, row: int, image: Image, when: When, value: Value) -> Event:
    if when.verb == "DELETE":
        return Event("d", row, image, None)
    old = {column.id: image.get(column.id, column.fill) for column in table.columns}
    at = next(column.id for column in table.columns if column.name == "v")
    return Event("u", row, old, {**old, at: value})
