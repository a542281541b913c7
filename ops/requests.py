"""A transaction as a request: what was asked, digested, so that it can be recognised again.

A transaction with an idempotency key records each operation as sent. When the key was used
before, the operations are not run: each gives what it gave the first time, and the commit checks
that they are the same operations.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import cast

import pyarrow as pa

from headwater.log_store.records import CommitRow, Idempotency
from headwater.ops.api_inputs import is_columnar
from headwater.ops.errors import BadArgument


class Request:
    """The operations of one transaction under an idempotency key."""

    def __init__(self, key: str, first: CommitRow | None) -> None:
        self._key = key
        self._digest = hashlib.blake2b(digest_size=32)
        self._results: list[int] = []
        self.first = first
        self._before: list[int] = []
        if first is not None and first.result:
            self._before = cast("list[int]", json.loads(first.result)["results"])

    @property
    def repeated(self) -> bool:
        """Whether the key was used before, so that nothing is to be run again."""
        return self.first is not None

    def run(self, operation: str, what: tuple[object, ...], do: Callable[[], int]) -> int:
        """The operation's result, now or the first time."""
        self._add(operation)
        for part in what:
            self._add(part)
        if self.repeated:
            # Another request under the key: the commit says so, whatever this returns.
            at = len(self._results)
            result = self._before[at] if at < len(self._before) else 0
        else:
            result = do()
        self._results.append(result)
        return result

    def _add(self, part: object) -> None:
        values = part.values() if isinstance(part, dict) else [part]
        if any(callable(value) for value in cast("Iterable[object]", values)):
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
