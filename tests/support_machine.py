"""Commands that drive the model and the store together: what histories are made of.

Two transactions may be open at once, interleaved with each other, with autocommits, definitions,
consumption, rewinds and reopenings. Every run ends in the checker.
"""

import shutil
import tempfile
from pathlib import Path
from uuid import uuid4

import model_rewind
import model_streams
import model_tables
import model_views
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from model_rewind import Ask
from model_streams import Options
from model_transaction import Tx as ModelTx
from model_transaction import every, where
from support_aging import KEYS, PAST, STREAMS, TABLES, Aging
from support_kafka_log import assert_topics_give
from support_lens import least_view
from support_pair import At, Consumption, Pair, row_of

from headwater.ops.api_transaction import Tx
from headwater.producer import ddl_views
from headwater.producer.names import find_table, find_view
from headwater.producer.transaction import Transaction

# A table may be renamed to `c`, a view too.
VIEWS = st.sampled_from(["c", "w"])
CLIENTS = st.sampled_from(["x", "y"])
SLOTS = st.sampled_from([None, None, 1, 2])
PLACES = st.tuples(st.sampled_from(["time", "statement"]), PAST)


class Machine(Aging):
    """Commands over a few tables, streams and clients; most of them find something to do."""

    path: Path | None = None

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp() if self.durable else ""
        self.pair = Pair(self.target())
        for name, key in (("a", ["id"]), ("b", []), ("t", []), ("u", ["id"])):
            self.create_table(name, key)
        self.create_stream("s", "a", "ALL", False, False, None)
        self.create_view("w", "a", 3, ("id", "v"), replaces=False)
        self.create_stream("r", "w", "ALL", False, False, None)

    durable = False

    def target(self) -> Path | str | None:
        """What to connect to; None for a store in memory."""
        return Path(self.folder) / "shop" if self.durable else None

    def teardown(self) -> None:
        try:
            self.pair.close()
            self.closed()
        finally:
            self.forget()

    def closed(self) -> None:
        """The store is closed, its files still there."""

    def forget(self) -> None:
        """Close whatever is open and remove its files."""
        self.pair.db.close()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    @invariant()
    def everything_is_the_same(self) -> None:
        self.pair.compare()

    # Rows

    @rule(slot=SLOTS, table=TABLES, keys=st.lists(KEYS, min_size=1, max_size=3), value=KEYS)
    def insert(self, slot: int | None, table: str, keys: list[int], value: int) -> None:
        def on_model(tx: ModelTx) -> int:
            of = tx.snapshot.table(table)
            return tx.insert(table, [row_of(of, key, value) for key in keys])

        def on_store(tx: Tx) -> int:
            has = tx.resolve(table).schema.names
            rows = [{n: v for n, v in (("id", k), ("v", value)) if n in has} for k in keys]
            return tx.insert(table, rows)

        self.pair.change(slot, on_model, on_store)

    @rule(slot=SLOTS, table=TABLES, keys=st.lists(KEYS, min_size=1, max_size=4), value=KEYS)
    def update(self, slot: int | None, table: str, keys: list[int], value: int) -> None:
        self.pair.change(
            slot,
            lambda tx: tx.update(table, where("id", *keys), {"v": value}),
            lambda tx: tx.update(table, where=lambda row: row["id"] in keys, set={"v": value}),
        )

    @rule(slot=SLOTS, table=TABLES, keys=st.lists(KEYS, min_size=1, max_size=2), to=KEYS)
    def update_key(self, slot: int | None, table: str, keys: list[int], to: int) -> None:
        self.pair.change(
            slot,
            lambda tx: tx.update(table, where("id", *keys), {"id": to}),
            lambda tx: tx.update(table, where=lambda row: row["id"] in keys, set={"id": to}),
        )

    @rule(slot=SLOTS, table=TABLES, keys=st.lists(KEYS, min_size=1, max_size=4))
    def delete(self, slot: int | None, table: str, keys: list[int]) -> None:
        self.pair.change(
            slot,
            lambda tx: tx.delete(table, where("id", *keys)),
            lambda tx: tx.delete(table, where=lambda row: row["id"] in keys),
        )

    @rule(slot=SLOTS, table=TABLES)
    def truncate(self, slot: int | None, table: str) -> None:
        self.pair.change(slot, lambda tx: tx.delete(table, every), lambda tx: tx.truncate(table))

    # Transactions

    @rule(slot=st.sampled_from([1, 2]))
    def begin_or_commit(self, slot: int) -> None:
        if slot in self.pair.open:
            self.pair.commit(slot)
        else:
            self.pair.begin(slot)

    @precondition(lambda self: bool(self.pair.open))
    @rule()
    def rollback(self) -> None:
        self.pair.rollback(min(self.pair.open))

    @rule()
    def reopen(self) -> None:
        self.pair.reopen()

    # Definitions

    @rule(name=TABLES, key=st.sampled_from([[], ["id"]]), replaces=st.booleans())
    def create_or_replace(self, name: str, key: list[str], replaces: bool) -> None:
        self.create_table(name, key, replaces)

    def create_table(self, name: str, key: list[str], replaces: bool = False) -> None:
        self.pair.both(
            lambda: model_tables.create_table(
                self.pair.model, name, ["id", "v"], key, replaces=replaces
            ),
            lambda: self.pair.db.create_table(
                name, {"id": "INT", "v": "INT"}, key=key, or_replace=replaces
            ),
        )

    @rule(name=TABLES)
    def drop_table(self, name: str) -> None:
        self.pair.both(
            lambda: model_tables.drop_table(self.pair.model, name),
            lambda: self.pair.db.drop_table(name),
        )

    @rule(name=TABLES)
    def undrop_table(self, name: str) -> None:
        self.pair.both(
            lambda: model_tables.undrop_table(self.pair.model, name),
            lambda: self.pair.db.undrop_table(name),
        )

    @rule(name=TABLES, to=TABLES)
    def rename_table(self, name: str, to: str) -> None:
        if name == to:
            return
        self.pair.both(
            lambda: model_tables.rename_table(self.pair.model, name, to),
            lambda: self.pair.db.rename_table(name, to),
        )

    @rule(a=TABLES, b=TABLES)
    def swap_tables(self, a: str, b: str) -> None:
        if a != b:
            self.pair.both(
                lambda: model_tables.swap_tables(self.pair.model, a, b),
                lambda: self.pair.db.swap_tables(a, b),
            )

    @rule(name=TABLES, source=TABLES, version=st.none() | PAST)
    def clone_table(self, name: str, source: str, version: int | None) -> None:
        self.pair.clone_table(name, source, version)

    @rule(name=TABLES, column=st.sampled_from(["w", "v"]), fill=KEYS)
    def add_column(self, name: str, column: str, fill: int) -> None:
        self.pair.both(
            lambda: model_tables.add_column(self.pair.model, name, column, fill),
            lambda: self.pair.db.table(name).add_column(column, "INT", default=fill),
        )

    @rule(name=TABLES, column=st.sampled_from(["w", "v"]))
    def drop_column(self, name: str, column: str) -> None:
        self.pair.both(
            lambda: model_tables.drop_column(self.pair.model, name, column),
            lambda: self.pair.db.table(name).drop_column(column),
        )

    # Views

    @rule(
        name=VIEWS,
        on=TABLES,
        least=KEYS,
        shows=st.sampled_from([("id", "v"), ("id",), ("v", "id", "w")]),
        replaces=st.booleans(),
    )
    def create_view(
        self, name: str, on: str, least: int, shows: tuple[str, ...], *, replaces: bool
    ) -> None:
        def create(tx: Transaction) -> None:
            spec = least_view(find_table(tx.catalog, on).id, "v", least, shows)
            ddl_views.create_view(tx, name, spec, or_replace=replaces)

        self.pair.both(
            lambda: model_views.create_view(
                self.pair.model, name, on, least, shows, replaces=replaces
            ),
            lambda: self.pair.db.session.define(create),
        )

    @rule(name=VIEWS)
    def drop_view(self, name: str) -> None:
        def drop(tx: Transaction) -> None:
            ddl_views.drop_view(tx, find_view(tx.catalog, name))

        self.pair.both(
            lambda: model_views.drop_view(self.pair.model, name),
            lambda: self.pair.db.session.define(drop),
        )

    @rule(name=VIEWS, to=VIEWS | TABLES)
    def rename_view(self, name: str, to: str) -> None:
        def rename(tx: Transaction) -> None:
            ddl_views.rename_view(tx, find_view(tx.catalog, name), to)

        if name != to:
            self.pair.both(
                lambda: model_views.rename_view(self.pair.model, name, to),
                lambda: self.pair.db.session.define(rename),
            )

    # Streams

    @rule(
        name=STREAMS,
        on=TABLES | VIEWS,
        capture=st.sampled_from(["ALL", "ALL", "NET", "INSERT ONLY"]),
        shared=st.booleans(),
        initial=st.booleans(),
        at=st.none() | PAST | STREAMS | PLACES,
        replaces=st.booleans(),
    )
    def create_any_stream(
        self,
        name: str,
        on: str,
        capture: str,
        shared: bool,
        initial: bool,
        at: At,
        replaces: bool,
    ) -> None:
        self.create_stream(name, on, capture, shared, initial, at, replaces=replaces)

    def create_stream(
        self,
        name: str,
        on: str,
        capture: str,
        shared: bool,
        initial: bool,
        at: At,
        *,
        replaces: bool = False,
    ) -> None:
        options = Options(capture, shared, initial)
        place, said = self.pair.said(at)
        self.pair.both(
            lambda: model_streams.create_stream(
                self.pair.model, name, on, options, at=place, replaces=replaces
            ),
            lambda: self.pair.db.create_stream(
                name,
                on=on,
                capture=capture,
                sharing="SHARED" if shared else "INDEPENDENT",
                initial_rows=initial,
                at=said,
                or_replace=replaces,
            ),
        )

    @rule(name=STREAMS)
    def drop_stream(self, name: str) -> None:
        self.pair.both(
            lambda: model_streams.drop_stream(self.pair.model, name),
            lambda: self.pair.db.drop_stream(name),
        )

    @rule(name=STREAMS, source=STREAMS)
    def clone_stream(self, name: str, source: str) -> None:
        self.pair.both(
            lambda: model_streams.clone_stream(self.pair.model, name, source),
            lambda: self.pair.db.clone_stream(name, source),
        )

    @rule(name=STREAMS, client=CLIENTS, at=st.sampled_from(["BASE", "HEAD"]) | PAST)
    def add_consumer(self, name: str, client: str, at: str | int) -> None:
        self.pair.both(
            lambda: model_streams.add_consumer(self.pair.model, name, client, at),
            lambda: self.pair.db.stream(name).add_consumer(
                client, at=at.lower() if isinstance(at, str) else at
            ),
        )

    @rule(name=STREAMS, consumer=CLIENTS | TABLES)
    def drop_consumer(self, name: str, consumer: str) -> None:
        self.pair.both(
            lambda: model_streams.drop_consumer(self.pair.model, name, consumer),
            lambda: self.pair.db.stream(name).drop_consumer(consumer),
        )

    # Consuming and going back

    @rule(
        slot=SLOTS,
        name=STREAMS,
        into=TABLES,
        limit=st.sampled_from([None, None, 1, 2]),
        upto=st.none() | PAST,
        effect=st.booleans(),
    )
    def consume_into(
        self,
        slot: int | None,
        name: str,
        into: str,
        limit: int | None,
        upto: int | None,
        effect: bool,
    ) -> None:
        self.pair.consume(slot, Consumption(name, into, limit, upto, effect))

    @rule(slot=SLOTS, name=STREAMS, client=CLIENTS, limit=st.sampled_from([None, 1]))
    def consume_as_client(
        self, slot: int | None, name: str, client: str, limit: int | None
    ) -> None:
        self.pair.change(
            slot,
            lambda tx: model_streams.consume(tx, name, client=client, limit=limit),
            lambda tx: tx.consume(name, consumer=client, limit_changes=limit),
        )

    @rule(
        name=STREAMS,
        consumer=st.none() | TABLES | CLIENTS,
        to=st.sampled_from(["base", "base", "initial"]) | PAST | PLACES,
        restore=st.booleans(),
        force=st.booleans(),
        reason=st.sampled_from(["", "why not"]),
    )
    def rewind(
        self,
        name: str,
        consumer: str | None,
        to: int | str | tuple[str, int],
        restore: bool,
        force: bool,
        reason: str,
    ) -> None:
        place, said = self.pair.said(to) if isinstance(to, tuple) else (to, None)
        assert place is not None
        self.pair.rewind(name, consumer, Ask(place, restore, force, reason), said)

    @rule(name=STREAMS, consumer=st.none() | TABLES | CLIENTS)
    def undo(self, name: str, consumer: str | None) -> None:
        self.pair.both(
            lambda: model_rewind.undo(self.pair.model, name, consumer),
            lambda: self.pair.db.stream(name).undo(consumer).execute(),
        )

    @rule(name=STREAMS, consumer=st.none() | TABLES | CLIENTS, to=PAST)
    def advance(self, name: str, consumer: str | None, to: int) -> None:
        self.pair.both(
            lambda: model_rewind.advance(self.pair.model, name, consumer, to),
            lambda: self.pair.db.stream(name).advance(consumer, to=to).execute(),
        )


class DurableMachine(Machine):
    """The same in a directory, where a reopening means something."""

    durable = True


class KafkaMachine(DurableMachine):
    """The same on a cluster, under a prefix of its own; ends in a node built from the topics."""

    brokers = ""
    expires = False

    def target(self) -> Path | str | None:
        self.prefix = f"m{uuid4().hex[:12]}"
        return f"kafka://{self.brokers}/{self.prefix}?dir={self.folder}/shop"

    def closed(self) -> None:
        assert_topics_give(Path(self.folder) / "shop", self.brokers, self.prefix)
