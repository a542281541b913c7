"""Rows and definitions in one transaction, on the model and in a store."""

import copy

import model_streams
import model_tables
from model import Definition, Event, Model, Refused, Table
from model_transaction import autocommit
from support_pair import Abort, Pair, row_of

from headwater.ops.api_transaction import Tx

# What is done, to which table, under which other name.
Step = tuple[str, str, str]


class Within:
    """One transaction of several steps; each that is refused is so on both sides, and alone.

    The model does them one by one on a copy of itself; what came of them becomes one commit.
    """

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.scratch = _copy_of(pair.model)
        self.begun = len(pair.model.commits)

    def run(self, steps: list[Step], *, commits: bool) -> None:
        """Do all of them, then keep them or take them back."""
        block = self.pair.db.transaction()
        tx = block.__enter__()
        for step in steps:
            self.do(tx, step)
        model = self.pair.model
        model.next_id, model.next_row = self.scratch.next_id, self.scratch.next_row
        if commits:
            block.__exit__(None, None, None)
            self.merge()
        else:
            assert not block.__exit__(Abort, Abort(), None)

    def do(self, tx: Tx, step: Step) -> None:
        """One step, on both sides."""
        self.pair.serial += 1
        key = self.pair.serial
        self.pair.both(lambda: self.on_model(step, key), lambda: on_store(tx, step, key))

    def merge(self) -> None:
        """Record what the copy did as one commit."""
        made = self.scratch.commits[self.begun :]
        events: dict[int, list[Event]] = {}
        definitions: list[Definition] = []
        for commit in made:
            definitions += commit.definitions
            for table, done in commit.events.items():
                events[table] = [*events.get(table, []), *done]
        self.pair.model.record(events, definitions=definitions)

    def changed(self, table: Table) -> bool:
        """Whether the transaction has changed rows of a table."""
        return any(table.id in commit.events for commit in self.scratch.commits[self.begun :])

    def unchanged(self, name: str) -> Table:
        """A table that may still be altered."""
        table = self.scratch.state.table(name)
        if self.changed(table):
            raise Refused("changed by this transaction")
        return table

    def on_model(self, step: Step, key: int) -> None:
        """One step, on the copy."""
        what, name, other = step
        match what:
            case "insert":
                row = row_of(self.scratch.state.table(name), key, 1)
                autocommit(self.scratch, lambda tx: tx.insert(name, [row]))
            case "create":
                model_tables.create_table(self.scratch, name, ["id", "v"], ["id"])
            case "drop":
                self.unchanged(name)
                model_tables.drop_table(self.scratch, name)
            case "rename":
                if name != other:
                    self.unchanged(name)
                    model_tables.rename_table(self.scratch, name, other)
            case "add_column":
                self.unchanged(name)
                model_tables.add_column(self.scratch, name, "w", 5)
            case "stream":
                self.unchanged(name)
                model_streams.create_stream(self.scratch, "r", name)
            case _:
                raise AssertionError(what)


def on_store(tx: Tx, step: Step, key: int) -> None:
    """One step, in the store's transaction."""
    what, name, other = step
    match what:
        case "insert":
            has = tx.resolve(name).schema.names
            tx.insert(name, {n: v for n, v in (("id", key), ("v", 1)) if n in has})
        case "create":
            tx.create_table(name, {"id": "INT", "v": "INT"}, key="id")
        case "drop":
            tx.drop_table(name)
        case "rename":
            if name != other:
                tx.rename_table(name, other)
        case "add_column":
            tx.add_column(name, "w", "INT", default=5)
        case "stream":
            tx.create_stream("r", on=name)
        case _:
            raise AssertionError(what)


def _copy_of(model: Model) -> Model:
    made = copy.copy(model)
    made.commits, made.states = list(model.commits), list(model.states)
    made.next_row = dict(model.next_row)
    return made
