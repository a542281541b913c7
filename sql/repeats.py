"""A transaction under an idempotency key: its statements digested, their results kept.

When the key was used before, nothing runs: each statement is checked to be the one sent then, text
and binds, and gives what it gave the first time.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Final, NotRequired, TypedDict, cast

import pyarrow as pa

from headwater.log_store.errors import IdempotencyMismatch
from headwater.log_store.records import CommitRow, Idempotency
from headwater.schemas.types import SqlType
from headwater.sql import errors
from headwater.sql.context import Binds
from headwater.sql.errors import Error, NotSupportedError, Place
from headwater.sql.results import OutColumn, Result
from headwater.sql.statements import Statement
from headwater.sql.translate import translated

# A result is kept beside the commit: a query's must be small.
_KEPT_BYTES: Final = 256 << 10


class _Told(TypedDict):
    """One statement's result as JSON holds it."""

    kind: str
    columns: list[tuple[str, str, bool]]
    rows: str
    rowcount: int
    query_id: str
    notices: list[str]


class _Kept(TypedDict):
    """One statement: the digest of all up to it, and what came of it."""

    so_far: str
    result: NotRequired[_Told]
    failure: NotRequired[dict[str, object]]


class Repeats:
    """The statements of one transaction under a key; `first` is the commit that had it before."""

    def __init__(self, key: str, first: CommitRow | None) -> None:
        self._key, self._first = key, first
        self._digest = hashlib.blake2b(digest_size=32)
        self._kept: list[_Kept] = []
        self._before: list[_Kept] = []
        if first is not None and first.result:
            self._before = cast("list[_Kept]", json.loads(first.result)["statements"])

    def run(self, statement: Statement, binds: Binds, do: Callable[[], Result]) -> Result:
        """What a statement gives, now or the first time.

        Raises:
            IdempotencyMismatch: another statement than the first time. Nothing was written.
            Error: what it failed with, now or the first time.
        """
        self._add(statement.text)
        for part in _parts(binds):
            self._add(part)
        so_far = self._digest.hexdigest()[:16]
        if self._first is not None:
            return self._again(self._first, so_far)
        try:
            result = do()
            self._kept.append({"so_far": so_far, "result": _keep(result)})
        except Exception as error:
            self._kept.append({"so_far": so_far, "failure": _failure(translated(error, statement))})
            raise
        return result

    def _again(self, first: CommitRow, so_far: str) -> Result:
        at = len(self._kept)
        if at >= len(self._before) or self._before[at].get("so_far") != so_far:
            raise IdempotencyMismatch(self._key, first.sequence)
        kept = self._before[at]
        self._kept.append(kept)
        if "result" in kept:
            return _result(kept["result"])
        raise _failed(kept.get("failure", {}))

    def _add(self, part: str) -> None:
        text = part.encode("utf-8", "surrogatepass")
        self._digest.update(len(text).to_bytes(8, "big"))
        self._digest.update(text)

    @property
    def idempotency(self) -> Idempotency:
        """The key with the digest of all statements so far."""
        return Idempotency(self._key, self._digest.digest())

    @property
    def result(self) -> str:
        """What is kept beside the commit to answer a repetition."""
        return json.dumps({"statements": self._kept})


def _parts(binds: Binds) -> list[str]:
    if isinstance(binds, Mapping):
        return [f"{name}={binds[name]!r}" for name in sorted(binds)]
    return [repr(value) for value in binds]


def _keep(result: Result) -> _Told:
    """The result as it is kept; its rows can still be taken afterwards."""
    parts: list[pa.Table] = []
    size = 0
    for part in result.batches:
        parts.append(part)
        size += part.nbytes
        if size > _KEPT_BYTES:
            raise NotSupportedError(
                "a result under an idempotency key is kept to be given again, and is at most "
                f"{_KEPT_BYTES} bytes: send large queries without the key",
                code="E_SQL_KEY_RESULT",
            )
    result.batches = iter(parts)
    table = result.table()
    result.batches = iter([table])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return {
        "kind": result.kind,
        "columns": [(c.name, str(c.type), c.nullable) for c in result.columns],
        "rows": base64.b64encode(sink.getvalue().to_pybytes()).decode(),
        "rowcount": result.rowcount,
        "query_id": result.query_id,
        "notices": result.notices,
    }


def _result(kept: _Told) -> Result:
    columns = tuple(OutColumn(n, SqlType.parse(t), nullable=null) for n, t, null in kept["columns"])
    rows = pa.ipc.open_stream(base64.b64decode(kept["rows"])).read_all()
    return Result(
        kept["kind"], columns, iter([rows]), kept["rowcount"], kept["query_id"], kept["notices"]
    )


def _failure(error: Error) -> dict[str, object]:
    return {
        "class": type(error).__name__,
        "message": error.message,
        "code": error.code,
        "place": error.place,
        "retryable": error.retryable,
    }


def _failed(kept: Mapping[str, object]) -> Error:
    """The error that was told the first time, of the class it had."""
    kind: object = getattr(errors, str(kept["class"]), None)
    made = kind if isinstance(kind, type) and issubclass(kind, Error) else Error
    place = cast("list[int] | None", kept["place"])
    return made(
        str(kept["message"]),
        code=str(kept["code"]),
        place=None if place is None else Place(*place),
        retryable=bool(kept["retryable"]),
    )
