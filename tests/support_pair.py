"""The model and a real store, driven side by side and compared after every step.

Every command runs on both; they must agree on whether it is refused, on the place in the commit
sequence, and on everything that can be read. Row ids are the store's own: the first time a row of
the model is met, its real id is noted, and from then on it must be that one.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

import model_rewind
import model_streams as streams
import model_tables
import pyarrow as pa
import pytest
from checker import check_store
from model import Conflict, Consumer, Model, Named, Place, Refused, Stream, Table, Value
from model_rewind import Ask, Plan
from model_transaction import Tx as ModelTx
from model_transaction import autocommit
from support_clock import Clock
from support_lens import least_lens

import headwater
from headwater.consumers.backlog import backlog, has_data, lag, stream_row
from headwater.consumers.errors import StreamStale
from headwater.consumers.history import HistoryRow, history
from headwater.consumers.positions import Said
from headwater.consumers.read import ReadOptions, read
from headwater.consumers.registration import name_of, position, why_stale
from headwater.consumers.registration import registered as there
from headwater.consumers.rewind_plan import RewindPlan
from headwater.consumers.windows import Window
from headwater.log_store.catalog import StreamObject
from headwater.log_store.errors import OutsideHistory
from headwater.log_store.port import View
from headwater.log_store.state import snapshot
from headwater.ops.api import Database
from headwater.ops.api_transaction import Tx
from headwater.ops.present import from_us
from headwater.producer.names import find_stream

# A version, a stream, or a commit by its time or as a statement.
At = int | str | tuple[str, int] | None
METADATA = ("ACTION", "ISUPDATE", "ROW_ID", "VERSION", "COMMIT_TIMESTAMP", "TRANSACTION_ID")
Rows = list[tuple[int, dict[str, object]]]


class Coded(Protocol):
    """What every error of the product has."""

    code: str
    retryable: bool


class Abort(Exception):
    """Leaves a transaction's block without a commit."""


@dataclass
class Open:
    """A transaction that is open on both sides."""

    model: ModelTx
    block: AbstractContextManager[Tx]
    real: Tx
    targets: set[str] = field(default_factory=set[str])


@dataclass(frozen=True)
class Consumption:
    """A consumption as asked for; with `effect` it inserts a row for each of the window."""

    stream: str
    into: str
    limit: int | None = None
    upto: int | None = None
    effect: bool = True


class Pair:
    """One model and one store."""

    def __init__(self, path: Path | str | None) -> None:
        self.path, self.clock = path, Clock(step_us=1000)
        self.model = Model()
        self.db = self.connect()
        self.row_ids: dict[int, dict[int, int]] = {}
        self.open: dict[int, Open] = {}
        self.serial = 1000  # effects insert keys that nobody else uses

    def connect(self) -> Database:
        target = "memory:pair" if self.path is None else self.path
        db = headwater.connect(target, clock=self.clock, actor="pair")
        db.session.lenses = least_lens
        return db

    # Commands

    def both(self, on_model: Callable[[], object], on_store: Callable[[], object]) -> bool:
        """Do it on both sides; whether it was done. They must agree on a refusal."""
        refused: Refused | None = None
        error: Exception | None = None
        try:
            on_model()
        except Refused as no:
            refused = no
        try:
            on_store()
        except Exception as no:
            if not hasattr(no, "code"):
                raise
            error = no
        told = f"model: {refused!r}, store: {error!r}"
        assert (refused is None) == (error is None), told
        if error is not None:
            coded = cast(Coded, error)
            assert coded.retryable == isinstance(refused, Conflict), told
        return refused is None

    def change(
        self,
        slot: int | None,
        on_model: Callable[[ModelTx], object],
        on_store: Callable[[Tx], object],
    ) -> bool:
        """A statement in an open transaction, or in one of its own; counts must be equal."""
        counts: list[object] = []
        if slot in self.open:
            tx = self.open[slot]
            return self.both(
                lambda: counts.append(on_model(tx.model)), lambda: counts.append(on_store(tx.real))
            )

        def alone() -> None:
            with self.db.transaction() as tx:
                on_store(tx)

        done = self.both(lambda: autocommit(self.model, on_model), alone)
        return done

    def begin(self, slot: int) -> None:
        block = self.db.transaction()
        self.open[slot] = Open(ModelTx(self.model), block, block.__enter__())

    def commit(self, slot: int) -> bool:
        tx = self.open.pop(slot)
        return self.both(lambda: tx.model.commit(), lambda: tx.block.__exit__(None, None, None))

    def rollback(self, slot: int) -> None:
        tx = self.open.pop(slot)
        tx.model.rollback()
        assert not tx.block.__exit__(Abort, Abort(), None), "a block swallowed its exception"

    def reopen(self) -> None:
        """Close the store and open it again; what is open is rolled back."""
        for slot in list(self.open):
            self.rollback(slot)
        if self.path is not None:
            self.db.close()
            self.db = self.connect()

    def close(self) -> None:
        """The end of every run: the checker, once more after a reopen."""
        self.reopen()
        check_store(self.db.session.log)
        self.db.close()

    def clone_table(self, name: str, source: str, version: int | None) -> None:
        """CLONE: the copied rows keep their ids, later ones are the clone's own."""
        made: list[Table] = []

        def on_model() -> None:
            made.append(model_tables.clone_table(self.model, name, source, version))

        if self.both(on_model, lambda: self.db.clone_table(name, source, at=version)):
            original = self.model.state.table(source).id
            copied = dict(self.model.rows(name))
            ids = self.row_ids.get(original, {})
            self.row_ids[made[0].id] = {row: ids[row] for row in copied}

    def consume(self, slot: int | None, asked: Consumption) -> bool:
        """Consume into a table, with or without an effect there; windows must be the same."""
        first = self.serial
        windows: list[tuple[int, int]] = []

        def on_model(tx: ModelTx) -> None:
            windows.append(
                streams.consume(
                    tx, asked.stream, into=asked.into, limit=asked.limit, upto=asked.upto
                )
            )
            stream = streams.find(tx.snapshot, asked.stream)
            rows = streams.read(self.model, stream, *windows[0], tx.snapshot)
            effect = [
                row_of(tx.snapshot.table(asked.into), first + n, row.values.get("v"))
                for n, row in enumerate(rows)
            ]
            self.serial = first + len(rows)
            if asked.effect:
                tx.insert(asked.into, effect)

        def on_store(tx: Tx) -> None:
            window = tx.consume(
                asked.stream, into=asked.into, limit_changes=asked.limit, upto=asked.upto
            )
            assert (window.start, window.end) == windows[0]
            has = tx.resolve(asked.into).schema.names
            effect = [
                {
                    name: what
                    for name, what in (("id", first + n), ("v", row.get("v")))
                    if name in has
                }
                for n, row in enumerate(window.rows())
            ]
            if asked.effect:
                tx.insert(asked.into, effect)

        return self.change(slot, on_model, on_store)

    def rewind(self, name: str, consumer: str | None, ask: Ask, to: "Said | None" = None) -> bool:
        """Plan on both sides, compare the plans, carry them out; `to` is the store's way to say
        where to."""
        wanted: list[Plan] = []
        found: list[RewindPlan] = []

        def on_model() -> None:
            wanted.append(model_rewind.plan(self.model, name, consumer, ask))
            model_rewind.execute(self.model, name, wanted[0], ask)

        def on_store() -> None:
            plan = self.db.stream(name).rewind(
                consumer,
                to=cast(Said, ask.to) if to is None else to,
                restore=ask.restore,
                force=ask.force,
                reason=ask.reason,
            )
            found.append(plan.details)
            plan.execute()

        done = self.both(on_model, on_store)
        if done:
            compare_plan(wanted[0], found[0])
        return done

    def expire(self, name: str, version: int) -> bool:
        """Let history go, but nothing that an open transaction has not gone past."""
        heads = [tx.model.snapshot.heads for tx in self.open.values()]
        horizons: list[int] = []

        def on_model() -> None:
            table = self.model.state.table(name).id
            most = [seen.get(table, 0) for seen in heads]
            if version <= self.model.state.heads[table]:
                asked.append(min([version, *most]))
            else:
                asked.append(version)
            horizons.append(self.model.expire(name, asked[0]))

        asked: list[int] = []
        return (
            self.both(
                on_model,
                lambda: horizons.append(
                    self.db.session.log.expire(self.db.table(name).id, asked[0])
                ),
            )
            and len(set(horizons)) == 1
        )

    def request(self, key: str, name: str, keys: list[int], value: int) -> bool:
        """Insert rows under an idempotency key; sent again it gives what it gave."""
        known = [table for table in self.live_tables() if table.name == name]
        rows = [row_of(known[0], k, value) if known else {"id": k, "v": value} for k in keys]

        def on_model() -> None:
            tx = ModelTx(self.model, key)
            tx.request.append((name, rows))
            if tx.first is None:
                tx.insert(name, rows)
            tx.commit()

        def on_store() -> None:
            with self.db.transaction(idempotency_key=key) as tx:
                assert tx.insert(name, rows) == len(rows)

        return self.both(on_model, on_store)

    def said(self, at: "At") -> "tuple[int | str | Place | None, Said | None]":
        """A position as the model and as the store take it."""
        if isinstance(at, str):
            return at, {"stream": at}
        if not isinstance(at, tuple):
            return at, at
        kind, number = at
        place = number % len(self.model.commits) + 1
        with self.db.session.log.view() as view:
            commit = view.commit(place)
        assert commit is not None
        if kind == "time":
            return Place(place), from_us(commit.time_us)
        return Place(place), {"statement": commit.commit_id}

    # Comparisons

    def compare(self) -> None:
        """Everything that can be read is the same on both sides."""
        with self.db.session.log.view() as view:
            assert view.sequence == self.model.state.sequence
            times = [row.time_us for row in view.commits(0, view.sequence)]
        assert len(times) == len(self.model.commits)
        for table in self.live_tables():
            self.compare_table(table)
        for stream in self.live_streams():
            compare_stream(self, stream, times)
        for tx in self.open.values():
            self.compare_open(tx)

    def live_tables(self) -> list[Table]:
        return [table for table in self.model.state.tables.values() if table.live]

    def live_streams(self) -> list[Stream]:
        return [stream for stream in self.model.state.streams.values() if stream.live]

    def compare_table(self, table: Table) -> None:
        """Head, rows with their ids, and one past version."""
        real = self.db.table(table.name)
        head = self.model.state.heads[table.id]
        assert real.head == head
        assert real.schema.names == [column.name for column in table.columns]
        assert real.count() == len(self.model.rows(table.name))
        kept = self.model.state.horizon(table.id)
        assert real.horizon == kept
        past = kept + self.model.state.sequence * 7 % (head - kept + 1)
        if kept:
            with pytest.raises(OutsideHistory):
                real.at(version=kept - 1)
        self.compare_places(table)
        for version in {past, head}:
            with self.db.session.log.view() as view:
                ids = snapshot(view, real.id, version).row_ids.tolist()
            rows = list(zip(ids, real.at(version=version).rows(), strict=True))
            self.same_rows(table, self.model.rows(table.name, version), rows)
        assert real.rows() == [row for _, row in self.model.rows(table.name)]
        self.compare_diff(table, min(past, head), head)

    def compare_places(self, table: Table) -> None:
        """The version that a commit's time names, and one just before it; and the commit itself."""
        real, number = self.db.table(table.name), self.model.state.sequence * 5
        for kind in ("time", "statement"):
            place, said = self.said((kind, number))
            assert isinstance(place, Place) and said is not None
            before = Place(place.sequence - 1)
            for one, find in ((place, real.at), (before, real.before)):
                try:
                    wanted = self.model.version_at(table, one)
                except Refused:
                    with pytest.raises(OutsideHistory):
                        find(said)
                else:
                    assert find(said).version == wanted, f"{kind} of {place}"

    def compare_diff(self, table: Table, start: int, end: int) -> None:
        wanted = [
            (self.real_row(table.id, row), before, after)
            for row, (before, after) in self.model.diff(table.name, start, end).items()
        ]
        found = self.db.table(table.name).diff(start, end)
        assert [(int(d.row_id), d.before, d.after) for d in found] == wanted

    def same_rows(
        self, table: Table, wanted: list[tuple[int, dict[str, Value]]], found: Rows
    ) -> None:
        assert [row for _, row in found] == [row for _, row in wanted]
        for (row, _), (real, _) in zip(wanted, found, strict=True):
            assert self.real_row(table.id, row, real) == real

    def real_row(self, table: int, row: int, met: int | None = None) -> int:
        """The store's id of a row of the model; `met` is noted if it is new."""
        known = self.row_ids.setdefault(table, {})
        if row not in known:
            assert met is not None, f"row {row} was never met"
            assert met not in known.values(), f"row id {met} was given twice"
            known[row] = met
        return known[row]

    def compare_open(self, tx: Open) -> None:
        """An open transaction sees its snapshot and its own writes, on both sides."""
        for table in tx.model.snapshot.tables.values():
            if table.live:
                found = tx.real.table(table.name).rows()
                assert found == [row for _, row in tx.model.rows(table.name)]


def compare_stream(pair: Pair, stream: Stream, times: list[int]) -> None:
    """What a stream shows, to everybody and to each consumer, and its figures."""
    model, state = pair.model, pair.model.state
    with pair.db.session.log.view() as view:
        real = find_stream(view.catalog, stream.name)
        assert real.base == stream.base
        readers = there(view.catalog, real)
        known = streams.registered(state, stream)
        names = [streams.consumer_name(state, one) for one in known]
        if not stream.shared:
            assert [name_of(view.catalog, one) for one in readers] == names
        marks = [state.marks[one.id] for one in known]
        assert [position(view, one) for one in readers] == marks
        for one, reader in zip(known, readers, strict=True):
            compare_moves(pair, one, list(history(view, real, reader)))
        assert (real.view is None) == (stream.view is None)
        if not state.readable(stream):
            assert why_stale(view.catalog, real)
            return
        assert not why_stale(view.catalog, real)
        head = state.heads[stream.table]
        reading = ReadOptions(
            more_metadata=True, lens=pair.db.session.lens(view.catalog, real), batch_rows=3
        )
        starts = {streams.lowest(state, stream), *marks}
        for start in [at for at in starts if state.lost(stream, at)]:
            with pytest.raises(StreamStale):
                list(read(view, real, Window(start, max(head, start + 1)), reading))
            with pytest.raises(StreamStale):
                lag(view, real, start, times[-1])
        for start in [at for at in starts if not state.lost(stream, at)]:
            end = streams.end_of(model, stream, start, head, (None, None))
            found = read(view, real, Window(start, end), reading)
            shown = streams.read(model, stream, start, end)
            compare_rows(pair, view, stream.table, shown, list(found), times)
            told = lag(view, real, start, times[-1])
            assert (told.versions, told.changes) == streams.lag(model, stream, start)
        stale = state.lost(stream, streams.lowest(state, stream))
        assert bool(stream_row(view, real).stale) == stale
        if stale:
            for ask in (has_data, backlog_rows):
                with pytest.raises(StreamStale):
                    ask(view, real)
        else:
            assert has_data(view, real) == streams.has_data(model, stream)
            assert backlog_rows(view, real) == streams.backlog(model, stream)
        for one, reader in zip(known, readers, strict=True):
            if state.lost(stream, state.marks[one.id]):
                with pytest.raises(StreamStale):
                    has_data(view, real, reader)
            else:
                assert has_data(view, real, reader) == streams.has_data(model, stream, one)


def backlog_rows(view: View, stream: StreamObject) -> list[tuple[int, int, int, int]]:
    """The backlog as the model tells it."""
    return [(r.version, r.inserts, r.updates, r.deletes) for r in backlog(view, stream)]


def compare_rows(
    pair: Pair,
    view: View,
    table: int,
    wanted: list[streams.StreamRow],
    parts: list[pa.Table],
    times: list[int],
) -> None:
    """Rows of a window: order, values and every METADATA column."""
    found = [row for part in parts for row in part.to_pylist()]
    assert len(found) == len(wanted), f"{len(found)} rows of {len(wanted)}"
    for want, row in zip(wanted, found, strict=True):
        meta = {name: row.pop(f"METADATA${name}") for name in METADATA}
        want_row = pair.real_row(table, want.row, int(str(meta["ROW_ID"])))
        assert row == want.values
        assert (meta["ACTION"], meta["ISUPDATE"]) == (want.action, want.is_update)
        assert (meta["VERSION"], int(str(meta["ROW_ID"]))) == (want.version, want_row)
        commit = view.commit(want.transaction)
        assert commit is not None and meta["TRANSACTION_ID"] == commit.commit_id
        assert meta["COMMIT_TIMESTAMP"] == from_us(times[want.transaction - 1])


def compare_moves(pair: Pair, consumer: Consumer, found: list[HistoryRow]) -> None:
    """Every move of a watermark, oldest first."""
    wanted = [
        (commit.sequence, move.why, move.start, move.end, move.reason)
        for commit, move in streams.moves_of(pair.model, consumer.id)
    ]
    assert [(row.sequence, row.why, row.start, row.end, row.reason) for row in found] == wanted


def compare_plan(wanted: Plan, found: RewindPlan) -> None:
    """What a plan says will be replayed, doubled and discarded."""
    assert bool(found.nothing) == bool(wanted.nothing)
    if found.nothing:
        return
    assert found.changes == wanted.changes
    assert [(m.start, m.end) for m in found.moves if m.consumer.id in found.asked] == [
        next(iter(wanted.moves.values()))
    ]
    assert sorted((m.start, m.end) for m in found.moves) == sorted(wanted.moves.values())
    assert found.duplicates == wanted.duplicates
    assert {o.sequence for o in found.others} == {c.sequence for c in wanted.discarded}


def row_of(table: Table, key: int, value: Value) -> Named:
    """A row for any of the test tables: id and v, the rest left out."""
    names = {column.name for column in table.columns}
    return {name: what for name, what in (("id", key), ("v", value)) if name in names}
