"""One transaction against a plain dict: any mix of small, bulk and failed statements, any keys."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st
from support_producer import committing, create, rows_of, seen_by

from headwater.log_store.catalog import TableObject
from headwater.log_store.memory import MemoryLog
from headwater.producer import bulk, spool, staging, sweep
from headwater.producer.errors import DuplicateKey
from headwater.producer.transaction import Transaction
from headwater.schemas.images import codec

KEYS = st.integers(0, 7)
VALUES = st.sampled_from(["x", "y", "z"])
ROWS = st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=5)

Model = dict[int, tuple[int, str]]


class Failed(Exception):
    """A statement that fails at its end, after all its writes."""


@st.composite
def statements(draw: st.DrawFn) -> list[tuple[str, list[tuple[int, str]], bool]]:
    """Verbs with rows; the last part says whether the statement fails after it."""
    verb = st.sampled_from(["insert", "bulk", "update", "replace", "delete", "sweep", "truncate"])
    return draw(st.lists(st.tuples(verb, ROWS, st.booleans()), max_size=12))


@pytest.fixture(autouse=True)
def tiny_parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(bulk, "RUN_ROWS", 2)
    monkeypatch.setattr(bulk, "FEW", 0)
    monkeypatch.setattr(sweep, "PART_ROWS", 2)
    monkeypatch.setattr(spool, "IN_MEMORY", 300)
    yield


def table_of(rows: list[tuple[int, str]]) -> pa.Table:
    ids = pa.array([key for key, _ in rows], pa.int64())
    return pa.table({"id": ids, "name": pa.array([value for _, value in rows])})


def targets(model: Model, rows: list[tuple[int, str]]) -> tuple[list[int], list[tuple[int, str]]]:
    """The rows a statement changes, and to what: as drawn, or their keys passed round."""
    chosen = sorted(model)[: len(rows)]
    if rows[0][1] == "z":
        keys = [model[row_id][0] for row_id in chosen]
        return chosen, [(key, "z") for key in keys[1:] + keys[:1]]
    return chosen, rows[: len(chosen)]


def wanted(verb: str, model: Model, rows: list[tuple[int, str]], next_id: int) -> Model | None:
    """The table after a statement; None if two rows would have one key."""
    after = dict(model)
    chosen, given = targets(model, rows)
    if verb in ("insert", "bulk"):
        after.update(enumerate(rows, next_id))
    elif verb in ("update", "replace"):
        after.update(zip(chosen, given, strict=True))
    elif verb in ("delete", "sweep"):
        for row_id in chosen:
            del after[row_id]
    else:
        after = {}
    keys = [key for key, _ in after.values()]
    return after if len(set(keys)) == len(keys) else None


def write(
    tx: Transaction, table: TableObject, verb: str, model: Model, rows: list[tuple[int, str]]
) -> None:
    chosen, given = targets(model, rows)
    match verb:
        case "insert":
            tx.insert(table, rows)
        case "bulk":
            tx.insert_columns(table, table_of(rows))
        case "update":
            tx.update(table, list(zip(chosen, given, strict=True)))
        case "replace":
            parts = [(np.array(chosen, np.int64), table_of(given))]
            tx.update_columns(table, parts)
        case "delete":
            tx.delete(table, chosen)
        case "sweep":
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(staging, "FEW", 0)
                tx.delete(table, chosen)
        case _:
            tx.truncate(table)


def check(tx: Transaction, table: TableObject, model: Model) -> None:
    assert seen_by(tx, table) == [model[row_id] for row_id in sorted(model)]
    holders = {key: row_id for row_id, (key, _) in model.items()}
    for key in range(8):
        found = tx.row_by_key(table, (key,))
        row_id = holders.get(key)
        assert found == (None if row_id is None else (row_id, model[row_id]))
    keys = [codec(table.schema).key_of((key,)) for key in range(8)]
    assert tx.row_ids(table, keys) == [holders.get(key) for key in range(8)]


@settings(max_examples=150)
@examples(base=st.lists(KEYS, unique=True, max_size=6), script=statements())
def test_a_transaction_is_a_dict_with_unique_keys(
    base: list[int], script: list[tuple[str, list[tuple[int, str]], bool]]
) -> None:
    log = MemoryLog("shop")
    table = create(log)
    with committing(log) as tx:
        tx.insert(table, [(key, "base") for key in base])
    model: Model = {number: (key, "base") for number, key in enumerate(base, 1)}
    tx = Transaction(log)
    for verb, rows, fails in script:
        next_id = _next_row_id(log, table)
        after = wanted(verb, model, rows, next_id)
        try:
            with tx.statement(verb):
                write(tx, table, verb, model, rows)
                assert after is not None
                check(tx, table, after)
                if fails:
                    raise Failed
            model = after
        except DuplicateKey:
            assert after is None
        except Failed:
            pass
        check(tx, table, model)
    tx.commit()
    assert rows_of(log, table) == [model[row_id] for row_id in sorted(model)]
    with committing(log) as again:
        check(again, table, model)


def _next_row_id(log: MemoryLog, table: TableObject) -> int:
    return log.reserve_row_ids(table.id, 0)
