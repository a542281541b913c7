"""One checker of what must hold in every store, whatever was done to it.

`check_store(log)` reads the whole store through the port's `View`, decodes every event with
fastavro (not with the product's codecs) and folds it in plain Python. Names in messages are those
of the reliability paper: I1 is "each acknowledged commit stands at one place", and so on.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol, cast, runtime_checkable

import fastavro
from checker_streams import check_consumers, check_streams

from headwater.log_store.catalog import AvroSchema, TableObject
from headwater.log_store.chain import GENESIS, ChainDigest
from headwater.log_store.port import Log, View
from headwater.log_store.records import CommitRow, Counts, VersionRow
from headwater.log_store.sequencing import remembered
from headwater.log_store.state import diff, snapshot
from headwater.schemas.avro import value_schema
from headwater.schemas.images import codec
from headwater.schemas.project import project_row
from headwater.schemas.tables import TableSchema
from headwater.schemas.types import Kind, Plain, Row

Cells = Mapping[int, Plain]  # a row's values by column id


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the caller knows of the store beside it.

    `acked` are commit ids, `ordered` some that one thread had acknowledged in this order, `refused` ones that were told
    that nothing was written, `prefix` the commits as an earlier look at this store found them.
    `laws` are checked last, each with the view (targets against the folds of their sources).
    """

    acked: Sequence[str] = ()
    ordered: Sequence[Sequence[str]] = ()
    refused: Sequence[str] = ()
    prefix: Sequence[CommitRow] = ()
    laws: Sequence[Callable[[View], None]] = ()


@runtime_checkable
class Verifies(Protocol):
    """A log that can check its own bytes."""

    def verify(self) -> object: ...


@runtime_checkable
class Derives(Protocol):
    """A log that can compare what it keeps beside its log with it."""

    def verify_derived(self) -> list[str]: ...


@dataclass
class Fold:
    """One table, event by event: rows, who wrote them, and every key that ever was."""

    table: TableObject
    rows: dict[int, Cells] = field(default_factory=dict[int, Cells])
    written: dict[int, int] = field(default_factory=dict[int, int])
    counts: Counts = field(default_factory=Counts)
    event_seq: int = 0
    digest: bytes = GENESIS
    keys: dict[Row, int] = field(default_factory=dict[Row, int])
    keys_seen: dict[Row, Cells] = field(default_factory=dict[Row, Cells])
    sampled: frozenset[int] = frozenset()
    past: dict[int, dict[int, Cells]] = field(default_factory=dict[int, dict[int, Cells]])
    generations: dict[int, TableSchema] = field(default_factory=dict[int, TableSchema])


def check_store(log: Log, expected: Expected | None = None) -> None:
    """Every invariant that applies to an open store. Raises AssertionError with the invariant."""
    expected = expected or Expected()
    with log.view() as view:
        commits = check_commits(view, expected)
        made = {(table, v): c for c in commits for table, v in c.versions.items()}
        for value in list(view.catalog.all("table")):
            assert isinstance(value, TableObject)
            check_table(view, value, made)
        check_catalog(view)
        check_streams(view)
        check_consumers(view, commits)
        for law in expected.laws:
            law(view)
    if isinstance(log, Verifies):
        log.verify()
    if isinstance(log, Derives):
        assert log.verify_derived() == [], "what follows from the log is not what follows from it"


def check_commits(view: View, expected: Expected) -> list[CommitRow]:
    """I1, I2, I3, I7, I8: one dense sequence, times that rise, every acknowledged id once."""
    commits = list(view.commits(0, view.sequence))
    assert [c.sequence for c in commits] == list(range(1, view.sequence + 1)), "I4: not dense"
    times = [c.time_us for c in commits]
    assert all(a < b for a, b in pairwise(times)), "I8: times do not rise"
    assert view.time_us == (times[-1] if times else 0), "I8: the view's time is its commit's"
    places = {c.commit_id: c.sequence for c in commits}
    assert len(places) == len(commits), "I1: a commit id stands at two places"
    by_key: dict[str, CommitRow] = {}
    for commit in commits:
        if commit.idempotency is not None:
            first = by_key.get(commit.idempotency.key)
            again = first is not None and remembered(first, view.catalog, commit.time_us)
            assert not again, "I1: an idempotency key stands for two commits"
            by_key[commit.idempotency.key] = commit
    for commit in commits:
        assert view.commit(commit.sequence) == commit
        assert view.find_commit(commit.commit_id) == commit, "I1: its id does not find it"
        assert view.sequence_at(commit.time_us) == commit.sequence, "I8: time names another place"
        assert view.sequence_at(commit.time_us - 1) == commit.sequence - 1
    for key, commit in by_key.items():
        assert view.find_idempotent(key) == commit, "I1: a key does not find its last commit"
    lost = [commit_id for commit_id in expected.acked if commit_id not in places]
    assert not lost, f"I7: {len(lost)} acknowledged commits are gone, the first is {lost[0]}"
    for run in expected.ordered:
        order = [places[commit_id] for commit_id in run]
        assert order == sorted(order), "I7: acknowledged commits in another order"
    seen = [commit_id for commit_id in expected.refused if commit_id in places]
    assert not seen, f"I3: refused commits are there: {seen[:3]}"
    assert commits[: len(expected.prefix)] == list(expected.prefix), "I2, I7: history changed"
    return commits


def check_table(view: View, table: TableObject, made: Mapping[tuple[int, int], CommitRow]) -> None:
    """I4-I6, I8-I12, I26 for one table, dropped ones too."""
    head = view.head(table.id)
    rows = list(view.versions(table.id, -1, head.version))
    first = rows[0].version
    assert [row.version for row in rows] == list(range(first, head.version + 1)), "I4: not dense"
    assert rows[-1] == head, "I4: the head is not the last version"
    end = head.version
    sampled = {0, end // 3, end // 2, max(end - 1, 0), end}
    fold = Fold(table, sampled=frozenset(max(version, first) for version in sampled))
    for generation in table.generations:
        fold.generations[generation.schema_id] = generation
    fold.past[first] = {}
    if first:
        begin_at(view, fold, rows[0])
    for row in rows:
        assert view.version(table.id, row.version) == row, "I4: a version has two contents"
        # A clone's rows arrive as v1 in the commit that makes its v0.
        last = rows[1].version if row.version == first and is_clone(rows) else row.version
        assert view.version_at(table.id, row.sequence) == last, "I8: a place names another version"
        if row.version == 0:
            assert (row.counts, row.event_seq, row.digest) == (Counts(), 0, GENESIS)
            continue
        if row.version == first:
            continue
        commit = made.get((table.id, row.version))
        assert commit is not None, f"I4: no commit made version {row.version} of {table.name}"
        assert (commit.sequence, commit.time_us) == (row.sequence, row.time_us), "I4, I8"
        check_version(view, fold, row, commit)
    assert len([1 for owner, _ in made if owner == table.id]) == head.version, "I4"
    check_current(view, fold)
    check_past(view, fold)


def begin_at(view: View, fold: Fold, row: VersionRow) -> None:
    """The fold as of the horizon: what stands there for all that was let go."""
    for block in view.base(fold.table.id):
        for row_id, stored in zip(block.row_ids, block.stored, strict=True):
            assert stored.version <= row.version, "a base row of a version above the horizon"
            written = fold.table.schema_of(stored.schema_id)
            values = codec(written).decode(stored.image)
            cells = {c.id: value for c, value in zip(written.columns, values, strict=True)}
            fold.rows[row_id], fold.written[row_id] = cells, stored.version
            key = key_of(fold.table.schema, cells)
            assert not fold.table.schema.key or key not in fold.keys, "I12: a key twice in a base"
            fold.keys[key] = row_id
            fold.keys_seen[key] = cells
    assert len(fold.rows) == row.counts.inserts - row.counts.deletes, "the base's rows"
    fold.counts, fold.event_seq, fold.digest = row.counts, row.event_seq, row.digest
    fold.past[row.version] = dict(fold.rows)


def is_clone(rows: Sequence[VersionRow]) -> bool:
    """Whether a table's first rows came in the commit that created it."""
    return len(rows) > 1 and rows[1].sequence == rows[0].sequence


def check_version(view: View, fold: Fold, row: VersionRow, commit: CommitRow) -> None:
    """One version's events: complete, numbered, chained, and meeting the rows they change."""
    table, last = fold.table, fold.counts
    chain = ChainDigest(fold.digest, table.id, row.version)
    total = 0
    halves: dict[int, int] = {}  # event_seq of a key change's d -> that of its c
    count = 0
    touched: dict[int, Cells | None] = {}  # row ids, with the images they had before
    for number, message in enumerate(messages(view, table.id, row)):
        event = decode(view, fold, row.schema_id, message)
        source, count = event.source, count + 1
        chain.add([message])
        assert source["commit_version"] == row.version, "I4: an event of another version"
        assert source["txId"] == row.sequence and source["ts_us"] == row.time_us, "I8"
        assert source["lsn"] == source["event_seq"] == fold.event_seq + number + 1, "I4"
        assert event.transaction["id"] == commit.commit_id, "I1: an event of another commit"
        assert event.transaction["data_collection_order"] == number + 1, "I5"
        total = total or cast(int, source["event_count"])
        touched.setdefault(event.row_id, fold.rows.get(event.row_id))
        step(fold, event, row.version, halves)
    assert count == total > 0, f"I5: {count} of {total} events in {table.name} v{row.version}"
    assert not halves, "a key change has one half only"
    fold.event_seq += count
    check_keys(fold, touched)
    assert (row.event_seq, row.counts[:3]) == (fold.event_seq, fold.counts[:3]), "I4, I30: counts"
    assert row.counts.bytes > last.bytes or not count
    fold.counts = row.counts
    assert row.next_row_id > max(fold.written, default=0), "a row id could be given twice"
    fold.digest = chain.digest()
    assert fold.digest == row.digest, f"I6: the chain breaks at {table.name} v{row.version}"
    if row.version in fold.sampled:
        fold.past[row.version] = dict(fold.rows)


def check_keys(fold: Fold, touched: Mapping[int, Cells | None]) -> None:
    """I12: after a version every key stands for one row."""
    schema = fold.table.schema
    if not schema.key:
        return
    for before in touched.values():
        if before is not None:
            del fold.keys[key_of(schema, before)]
    for row in touched:
        if (cells := fold.rows.get(row)) is not None:
            key = key_of(schema, cells)
            assert None not in key, "I12: NULL in a key"
            assert key not in fold.keys, f"I12: key {key} is there twice in {fold.table.name}"
            fold.keys[key] = row
            fold.keys_seen[key] = cells


@dataclass(frozen=True)
class Decoded:
    """One event as an independent reader sees it; images by column id."""

    op: str
    before: Cells | None
    after: Cells | None
    source: Mapping[str, object]
    transaction: Mapping[str, object]

    @property
    def row_id(self) -> int:
        return cast(int, self.source["row_id"])


def step(fold: Fold, event: Decoded, version: int, halves: dict[int, int]) -> None:
    """I9, I12: one event meets the row it changes."""
    row, counts = event.row_id, fold.counts
    known = fold.rows.get(row)
    pair = event.source["pair_seq"]
    if event.op == "c":
        assert known is None and event.before is None and event.after is not None, "I12: c"
    else:
        assert known is not None, f"I12: {event.op} of a row that is not there"
        assert event.before is not None and (event.after is not None) == (event.op == "u")
        for column, value in event.before.items():
            was = known.get(column, fill_of(fold.table, column))
            assert same(value, was), f"I12: before image of row {row}: {value!r} is {was!r}"
    seq = cast(int, event.source["event_seq"])
    if pair is not None and event.op == "d":
        halves[seq] = cast(int, pair)
    elif pair is not None:
        assert halves.pop(cast(int, pair)) == seq, "the halves of a key change name each other"
    fold.counts = Counts(
        counts.inserts + (event.op == "c" and pair is None),
        counts.updates + (event.op == "u" or (event.op == "c" and pair is not None)),
        counts.deletes + (event.op == "d" and pair is None),
        counts.bytes,
    )
    if event.after is None:
        del fold.rows[row]
    else:
        fold.rows[row] = event.after
        fold.written[row] = version


def check_current(view: View, fold: Fold) -> None:
    """I9: what the store holds as current rows and keys is the fold of its log."""
    table, schema = fold.table, fold.table.schema
    found: dict[int, Row] = {}
    for block in view.scan(table.id):
        for row_id, stored in zip(block.row_ids, block.stored, strict=True):
            written = table.schema_of(stored.schema_id)
            found[row_id] = project_row(codec(written).decode(stored.image), written, schema)
            assert fold.written[row_id] == stored.version, "I9: a row of another version"
            assert view.row(table.id, row_id) == stored
    assert list(found) == sorted(found), "a scan goes by rising row id"
    wanted = {row_id: shown(table, cells) for row_id, cells in sorted(fold.rows.items())}
    assert same_rows(found, wanted), f"I9: {table.name}: current rows are not the fold of the log"
    assert view.row_count(table.id) == len(wanted), "I9: the row count"
    if not schema.key:
        return
    live = {codec(schema).key(row): row_id for row_id, row in wanted.items()}
    for cells in fold.keys_seen.values():
        key = codec(schema).key(shown(table, cells))
        assert view.row_id(table.id, key) == live.get(key), "I12: the key index"


def check_past(view: View, fold: Fold) -> None:
    """I9-I11: tables at versions and the differences between them, by the product's own reads."""
    some = sorted(fold.past)
    for version in some:
        taken = snapshot(view, fold.table.id, version)
        rows = rows_of(fold.table, taken.row_ids.tolist(), taken.data)
        wanted = {
            row: shown(fold.table, cells) for row, cells in sorted(fold.past[version].items())
        }
        assert same_rows(rows, wanted), f"I9: {fold.table.name} at v{version}"
    for start, end in pairwise(some):
        changed = diff(view, fold.table.id, start, end)
        before = rows_of(fold.table, list(range(changed.before.num_rows)), changed.before)
        after = rows_of(fold.table, list(range(changed.after.num_rows)), changed.after)
        was = {row: shown(fold.table, cells) for row, cells in fold.past[start].items()}
        for row, b, a in zip(
            changed.row_ids.tolist(),
            changed.before_at.tolist(),
            changed.after_at.tolist(),
            strict=True,
        ):
            old = was.pop(row, None)
            assert (old is None) == (b < 0) and (old is None or same_row(old, before[b])), "I11"
            assert a < 0 or old is None or not same_row(old, after[a]), "I11: a no-op"
            if a >= 0:
                was[row] = after[a]
        wanted = {row: shown(fold.table, cells) for row, cells in fold.past[end].items()}
        assert same_rows(was, wanted), "I11: apply(diff(a, b), table(a)) is not table(b)"


def check_catalog(view: View) -> None:
    """I25: ids are unique for life, names among the living; marks are places that were."""
    slots: set[int] = set()
    for kind in ("schema", "table", "stream", "consumer"):
        names: set[tuple[object, str]] = set()
        for value in view.catalog.all(kind):
            assert value.id not in slots, "I25: an id stands for two objects"
            slots.add(value.id)
            assert value.changed_at <= view.sequence
            gone = getattr(value, "dropped_at", None) or getattr(value, "retired_at", None)
            where = getattr(value, "namespace", None) or getattr(value, "stream", None)
            target = getattr(value, "target", None)
            name = (where, f"\0{target}" if target is not None else str(getattr(value, "name", "")))
            assert gone is not None or name not in names, "I25: two of one name"
            if gone is None:
                names.add(name)


def messages(view: View, table: int, row: VersionRow) -> Iterator[bytes]:
    """The events of one version, as stored."""
    for block in view.blocks(table, row.version - 1, row.version):
        assert (block.version, block.schema_id) == (row.version, row.schema_id), "I26"
        offsets = memoryview(block.offsets).cast("B").cast("q")
        for start, end in pairwise(offsets):
            yield bytes(block.data[start:end])


# fastavro's own stubs are half untyped; what goes in and comes out is said here.
AvroSchemaTree = dict[str, object]
_read = cast(Callable[[io.BytesIO, AvroSchemaTree], dict[str, object]], fastavro.schemaless_reader)
_parse = cast(Callable[[object], AvroSchemaTree], fastavro.parse_schema)
_parsed: dict[str, AvroSchemaTree] = {}


def avro_of(view: View, table: TableObject, schema_id: int) -> AvroSchemaTree:
    """I26: the registered schema of that id, without logical types; made anew if there is none."""
    value = view.catalog.get("avro", schema_id)
    text = value.text if isinstance(value, AvroSchema) else "{}"
    if text == "{}":
        text = json.dumps(value_schema(table.topic, table.schema_of(schema_id)))
    if text not in _parsed:
        _parsed[text] = _parse(without_logical(json.loads(text)))
    return _parsed[text]


def without_logical(schema: object) -> object:
    """An Avro schema whose values are what stands on the wire."""
    match schema:
        case dict():
            named = cast(dict[str, object], schema)
            return {k: without_logical(v) for k, v in named.items() if k != "logicalType"}
        case list():
            return [without_logical(v) for v in cast(list[object], schema)]
        case _:
            return schema


def decode(view: View, fold: Fold, schema_id: int, message: bytes) -> Decoded:
    """An event through fastavro."""
    stream = io.BytesIO(message)
    record = _read(stream, avro_of(view, fold.table, schema_id))
    assert stream.read() == b"", "I6: bytes after the event"
    generation = fold.generations[schema_id]
    return Decoded(
        cast(str, record["op"]),
        cells_of(generation, record["before"]),
        cells_of(generation, record["after"]),
        cast(dict[str, object], record["source"]),
        cast(dict[str, object], record["transaction"]),
    )


def cells_of(generation: TableSchema, image: object) -> Cells | None:
    """An image by column id, in plain values."""
    if image is None:
        return None
    fields = cast(dict[str, Plain], image)
    cells: dict[int, Plain] = {}
    for column in generation.columns:
        value = fields[column.avro_name]
        if column.type.kind is Kind.DECIMAL and isinstance(value, bytes):
            value = int.from_bytes(value, "big", signed=True)
        cells[column.id] = value
    return cells


def fill_of(table: TableObject, column: int) -> Plain:
    """What stands in images older than a column, in any generation that had it."""
    for generation in reversed(table.generations):
        for known in generation.columns:
            if known.id == column:
                return known.fill
    raise KeyError(column)


def shown(table: TableObject, cells: Cells) -> Row:
    """A row in today's columns."""
    return tuple(cells.get(column.id, column.fill) for column in table.schema.columns)


def key_of(schema: TableSchema, cells: Cells) -> Row:
    """A row's key; empty without one."""
    return tuple(cells.get(column) for column in schema.key)


def rows_of(table: TableObject, row_ids: list[int], data: object) -> dict[int, Row]:
    """Arrow rows of the current generation as plain ones, through the codec that stores them."""
    import pyarrow as pa

    images = codec(table.schema).encode_columns(cast(pa.Table, data)).to_pylist()
    decoded = [codec(table.schema).decode(cast(bytes, image)) for image in images]
    return dict(zip(row_ids, decoded, strict=True))


def same(a: Plain, b: Plain) -> bool:
    """Equal, and of one type; NaN equals itself."""
    return (type(a) is type(b) and a == b) or (a != a and b != b)  # noqa: PLR0124


def same_row(a: Row, b: Row) -> bool:
    """Rows that are the same value by value."""
    return len(a) == len(b) and all(map(same, a, b))


def same_rows(a: Mapping[int, Row], b: Mapping[int, Row]) -> bool:
    """The same rows under the same ids."""
    return a.keys() == b.keys() and all(same_row(a[row], b[row]) for row in a)
