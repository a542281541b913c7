"""Any history at all: the store agrees with the model after every step, on every adapter.

Two ways to find histories: hypothesis, which shrinks what it finds, and walks from fixed seeds,
which choose mostly what there is and so go far. A walk that fails is cut down to the commands that
still make it fail.
"""

import os
import random
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import model_tables
import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from model_transaction import autocommit, every
from support_machine import DurableMachine, Machine
from support_pair import Pair

EXAMPLES = int(os.environ.get("HEADWATER_MACHINES", "30"))
STEPS = int(os.environ.get("HEADWATER_STEPS", "40"))
WALKS = int(os.environ.get("HEADWATER_WALKS", "24"))
SEED = int(os.environ.get("HEADWATER_SEED", "20261123"))
SHRINK_S = 60.0

T = TypeVar("T")
Command = tuple[str, dict[str, object]]


@pytest.mark.parametrize("machine", [Machine, DurableMachine])
def test_the_store_is_the_model_after_any_history(machine: type[Machine]) -> None:
    run_state_machine_as_test(
        machine, settings=settings(max_examples=EXAMPLES, stateful_step_count=STEPS)
    )


class Chooser:
    """Draws the next command: mostly about what exists, sometimes about what does not."""

    def __init__(self, chance: random.Random, pair: Pair) -> None:
        self.chance, self.pair = chance, pair

    def table(self) -> str:
        live = [table.name for table in self.pair.live_tables()]
        return self.pick([*live * 3, "a", "b", "c", "t", "u"])

    def source(self) -> str:
        return self.pick(["a"] * 6 + [self.table()])

    def view(self) -> str:
        live = [view.name for view in self.pair.model.state.views.values() if view.live]
        return self.pick([*live * 4, "c", "w"])

    def target(self) -> str:
        return self.pick(["t", "u"] * 3 + [self.table()])

    def stream(self) -> str:
        live = [stream.name for stream in self.pair.live_streams()]
        return self.pick([*live * 6, "r", "s"])

    def client(self) -> str:
        return self.pick(["x", "y"])

    def consumer(self) -> str | None:
        return self.pick([None, "t", "u", "t", self.client(), self.table()])

    def slot(self) -> int | None:
        return self.pick([None, None, None, *self.pair.open])

    def keys(self, most: int) -> list[int]:
        return [self.chance.randint(0, 6) for _ in range(self.chance.randint(1, most))]

    def key(self) -> int:
        return self.chance.randint(0, 6)

    def past(self) -> int:
        return self.chance.randint(0, 12)

    def place(self) -> tuple[str, int]:
        return self.pick(["time", "statement"]), self.chance.randint(0, 60)

    def step(self) -> tuple[str, str, str]:
        what = self.pick(["insert", "create", "drop", "rename", "add_column", "stream"])
        return what, self.table(), self.pick(["a", "b", "c", "t", "u"])

    def yes(self, share: float = 0.5) -> bool:
        return self.chance.random() < share

    def pick(self, of: Sequence[T]) -> T:
        return self.chance.choice(of)


Draw = Callable[[Chooser], dict[str, object]]
# name -> (weight, arguments)
COMMANDS: dict[str, tuple[int, Draw]] = {
    "insert": (
        14,
        lambda c: {"slot": c.slot(), "table": c.source(), "keys": c.keys(3), "value": c.key()},
    ),
    "update": (
        10,
        lambda c: {"slot": c.slot(), "table": c.source(), "keys": c.keys(4), "value": c.key()},
    ),
    "update_key": (
        8,
        lambda c: {"slot": c.slot(), "table": c.source(), "keys": c.keys(2), "to": c.key()},
    ),
    "delete": (8, lambda c: {"slot": c.slot(), "table": c.source(), "keys": c.keys(3)}),
    "truncate": (1, lambda c: {"slot": c.slot(), "table": c.table()}),
    "begin_or_commit": (14, lambda c: {"slot": c.pick([1, 2])}),
    "reopen": (1, lambda c: {}),
    "create_or_replace": (
        1,
        lambda c: {"name": c.table(), "key": c.pick([[], ["id"]]), "replaces": c.yes()},
    ),
    "drop_table": (1, lambda c: {"name": c.table()}),
    "undrop_table": (2, lambda c: {"name": c.pick(["a", "b", "c", "t", "u"])}),
    "rename_table": (1, lambda c: {"name": c.table(), "to": c.pick(["a", "b", "c", "t", "u"])}),
    "swap_tables": (1, lambda c: {"a": c.table(), "b": c.table()}),
    "clone_table": (
        2,
        lambda c: {
            "name": c.pick(["b", "c", "t"]),
            "source": c.table(),
            "version": c.pick([None, None, c.past()]),
        },
    ),
    "add_column": (1, lambda c: {"name": c.table(), "column": c.pick(["w", "v"]), "fill": c.key()}),
    "drop_column": (1, lambda c: {"name": c.table(), "column": c.pick(["w", "w", "v"])}),
    "create_view": (
        2,
        lambda c: {
            "name": c.pick(["w", "w", "c"]),
            "on": c.source(),
            "least": c.key(),
            "shows": c.pick([("id", "v"), ("id",), ("v", "id", "w")]),
            "replaces": c.yes(),
        },
    ),
    "drop_view": (1, lambda c: {"name": c.view()}),
    "rename_view": (1, lambda c: {"name": c.view(), "to": c.pick(["w", "c", "t"])}),
    "create_any_stream": (
        4,
        lambda c: {
            "name": c.pick(["r", "s"]),
            "on": c.pick([c.source(), c.source(), c.view()]),
            "capture": c.pick(["ALL", "NET", "INSERT ONLY"]),
            "shared": c.yes(0.3),
            "initial": c.yes(0.3),
            "at": c.pick([None, None, c.past(), c.stream(), c.place()]),
            "replaces": c.yes(0.4),
        },
    ),
    "drop_stream": (1, lambda c: {"name": c.stream()}),
    "clone_stream": (1, lambda c: {"name": c.pick(["r", "s"]), "source": c.stream()}),
    "add_consumer": (
        2,
        lambda c: {
            "name": c.stream(),
            "client": c.client(),
            "at": c.pick(["BASE", "HEAD", c.past()]),
        },
    ),
    "drop_consumer": (1, lambda c: {"name": c.stream(), "consumer": c.consumer() or "t"}),
    "consume_into": (
        16,
        lambda c: {
            "slot": c.slot(),
            "name": c.stream(),
            "into": c.target(),
            "limit": c.pick([None, None, 1, 2]),
            "upto": c.pick([None, None, None, c.past()]),
            "effect": c.yes(0.8),
        },
    ),
    "consume_as_client": (
        4,
        lambda c: {
            "slot": c.slot(),
            "name": c.stream(),
            "client": c.client(),
            "limit": c.pick([None, 1]),
        },
    ),
    "rewind": (
        12,
        lambda c: {
            "name": c.stream(),
            "consumer": c.consumer(),
            "to": c.pick(["base", "base", "initial", c.past(), c.past(), c.place()]),
            "restore": c.yes(0.6),
            "force": c.yes(0.3),
            "reason": c.pick(["", "why not"]),
        },
    ),
    "undo": (4, lambda c: {"name": c.stream(), "consumer": c.consumer()}),
    "expire": (3, lambda c: {"name": c.table(), "version": c.past()}),
    "request": (
        4,
        lambda c: {
            "key": c.pick(["k", "l"]),
            "table": c.source(),
            "keys": c.keys(2)[:1],
            "value": c.pick([1, 2]),
        },
    ),
    "forget_requests": (1, lambda c: {}),
    "alter_policy": (
        2,
        lambda c: {
            "name": c.stream(),
            "policy": c.pick(["ALLOW", "ALLOW", "WARN", "REQUIRE_REASON", "FORBID"]),
        },
    ),
    "define_within": (
        4,
        lambda c: {
            "steps": [c.step() for _ in range(c.chance.randint(1, 4))],
            "commits": c.yes(0.7),
        },
    ),
    "advance": (3, lambda c: {"name": c.stream(), "consumer": c.consumer(), "to": c.past()}),
}


def replay(machine: type[Machine], commands: Sequence[Command]) -> Exception | None:
    """Run commands, comparing after each; what went wrong, None if nothing did."""
    run = machine()
    try:
        for name, arguments in commands:
            getattr(run, name)(**arguments)
            run.pair.compare()
        run.pair.close()
    except Exception as error:  # noqa: BLE001 - whatever it was is cut down and told
        return error
    finally:
        run.forget()
    return None


def walk(machine: type[Machine], chance: random.Random, steps: int) -> tuple[list[Command], bool]:
    """A history made up on the way: its commands, and whether it went well."""
    run, commands = machine(), list[Command]()
    chooser = Chooser(chance, run.pair)
    names, weights = list(COMMANDS), [weight for weight, _ in COMMANDS.values()]
    try:
        for _ in range(steps):
            name = chance.choices(names, weights)[0]
            commands.append((name, COMMANDS[name][1](chooser)))
            getattr(run, name)(**commands[-1][1])
            run.pair.compare()
        run.pair.close()
    except Exception:  # noqa: BLE001 - replayed, cut down and told by the caller
        return commands, False
    finally:
        run.forget()
    return commands, True


def cut_down(machine: type[Machine], commands: list[Command]) -> list[Command]:
    """Fewer commands that still fail, found by leaving out ever smaller runs of them."""
    deadline, size = time.monotonic() + SHRINK_S, len(commands) // 2
    while size and time.monotonic() < deadline:
        at = 0
        while at < len(commands) and time.monotonic() < deadline:
            fewer = commands[:at] + commands[at + size :]
            if replay(machine, fewer) is not None:
                commands = fewer
            else:
                at += size
        size //= 2
    return commands


def check_walks(machine: type[Machine], seeds: Sequence[int]) -> None:
    """Walk from each seed; the first one that fails is cut down and told."""
    for seed in seeds:
        commands, well = walk(machine, random.Random(seed), 90)
        if not well:
            fewer = cut_down(machine, commands)
            error = replay(machine, fewer)
            told = "\n".join(f"    {name} {arguments}" for name, arguments in fewer)
            pytest.fail(f"seed {seed}: {error!r}\n{told}")


@pytest.mark.parametrize("machine", [Machine, DurableMachine])
@pytest.mark.parametrize("part", range(4))
def test_the_store_is_the_model_along_far_walks(machine: type[Machine], part: int) -> None:
    count = WALKS if machine is Machine else max(1, WALKS // 3)
    check_walks(machine, range(SEED + part, SEED + count, 4))


def test_ids_of_schemas_are_not_given_again_after_a_reopening() -> None:
    """Found by a walk: the ids of Avro schemas were left out of the largest id known."""
    commands: list[Command] = [
        ("create_or_replace", {"name": "t", "key": ["id"], "replaces": True}),
        ("reopen", {}),
        ("add_column", {"name": "u", "column": "w", "fill": 5}),
        ("insert", {"slot": None, "table": "t", "keys": [1], "value": 5}),
    ]
    assert replay(DurableMachine, commands) is None


def test_what_an_autocommit_refuses_leaves_no_trace() -> None:
    pair = Pair(None)
    model_tables.create_table(pair.model, "a", ["id", "v"], ["id"])
    pair.db.create_table("a", {"id": "INT", "v": "INT"}, key="id")
    assert not pair.change(
        None,
        lambda tx: tx.insert("a", [{"id": 1}, {"id": 1}]),
        lambda tx: tx.insert("a", [{"id": 1}, {"id": 1}]),
    )
    assert autocommit(pair.model, lambda tx: tx.delete("a", every)) is None
    pair.compare()
    pair.close()
