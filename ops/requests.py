"""A transaction as a request: what was asked, digested, so that it can be recognised again.

A transaction with an idempotency key records each operation as sent. When the key was used
before, the operations are not run: each is checked to be the one sent then, and gives what it gave
the first time.
"""

import hashlib
import json
from collections.abc import Callable
from typing import cast

import pyarrow as pa

from headwater.log_store.errors import IdempotencyMismatch
from headwater.log_store.records import CommitRow, Idempotency
from headwater.ops.api_inputs import is_columnar
from headwater.ops.errors import BadArgument
from headwater.ops.failures import failed, failure

# How many rows, a window, or a failure that was caught and told.
Result = int | list[int] | dict[str, object]


class Request:
    """The operations of one transaction under an idempotency key."""

    def __init__(self, key: str, first: CommitRow | None) -> None:
        self._key = key
        self._digest = hashlib.blake2b(digest_size=32)
        # Of each operation: the digest of all up to it, and what it gave.
        self._results: list[tuple[str, Result]] = []
        self.first = first
        self._before: list[tuple[str, Result]] = []
        if first is not None and first.result:
            self._before = json.loads(first.result)["results"]

    def run(
        self, operation: str, what: tuple[object, ...], do: Callable[[], int | list[int]]
    ) -> Result:
        """What the operation gives, now or the first time.

        Raises:
            IdempotencyMismatch: another operation than the first time. Nothing was written.
            Exception: what it raised, now or the first time.
        """
        self._add(operation)
        for part in what:
            self._add(part)
        so_far = self._digest.hexdigest()[:16]
        if self.first is not None:
            return self._again(self.first, so_far)
        try:
            result = do()
        except Exception as error:
            self._results.append((so_far, failure(error)))
            raise
        self._results.append((so_far, result))
        return result

    def _again(self, first: CommitRow, so_far: str) -> Result:
        at = len(self._results)
        if at >= len(self._before) or self._before[at][0] != so_far:
            raise IdempotencyMismatch(self._key, first.sequence)
        result = self._before[at][1]
        self._results.append((so_far, result))
        if isinstance(result, dict):
            raise failed(result)
        return result

    def _add(self, part: object) -> None:
        if any(callable(value) for value in _values(part)):
            raise BadArgument(
                "a function cannot be compared with the one sent before: "
                "under an idempotency key, give values or Arrow expressions"
            )
        if is_columnar(part):
            table = pa.table(cast("pa.Table", part))
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table.combine_chunks())
            text = sink.getvalue().to_pybytes()
        else:
            text = repr(part).encode()
        self._digest.update(len(text).to_bytes(8, "big"))
        self._digest.update(text)

    @property
    def idempotency(self) -> Idempotency:
        """The key with the digest of all operations so far."""
        return Idempotency(self._key, self._digest.digest())

    @property
    def result(self) -> str:
        """What is kept beside the commit to answer a repetition."""
        return json.dumps({"results": self._results})


def _values(part: object) -> list[object]:
    return list(cast("dict[str, object]", part).values()) if isinstance(part, dict) else [part]
