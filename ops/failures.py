"""A failure that a request was told, kept beside its commit and raised again for its repetition."""

import json
from collections.abc import Iterator
from typing import cast

from headwater.consumers.errors import ConsumersError
from headwater.log_store.errors import LogError
from headwater.ops.errors import ApiError
from headwater.producer.errors import ProducerError
from headwater.schemas.errors import SchemaError

_Coded = SchemaError | LogError | ProducerError | ConsumersError | ApiError
_ROOTS: tuple[type[_Coded], ...] = (
    SchemaError,
    LogError,
    ProducerError,
    ConsumersError,
    ApiError,
)


def failure(error: Exception) -> dict[str, object]:
    """An error as it is kept: its code, its sentence, and those of its fields that JSON can hold."""
    code = getattr(error, "code", "")
    return {"code": code, "says": str(error), "fields": dict(_fields(error))}


def _fields(error: Exception) -> Iterator[tuple[str, object]]:
    for name, value in vars(error).items():
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            continue
        yield name, value


def failed(kept: dict[str, object]) -> Exception:
    """The error that was kept, of the class it had."""
    for root in _ROOTS:
        for kind in _kinds(root):
            if kind.code == kept["code"]:
                error = kind.__new__(kind, kept["says"])
                Exception.__init__(error, kept["says"])
                vars(error).update(cast("dict[str, object]", kept["fields"]))
                return error
    return ApiError(f"the request failed here when it was sent first: {kept['says']}")


def _kinds(root: type[_Coded]) -> Iterator[type[_Coded]]:
    yield root
    for kind in root.__subclasses__():
        yield from _kinds(kind)
