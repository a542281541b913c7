"""Headwater: tables that remember. The front door; every name here loads on first use."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headwater.ops.api import Database as Database
    from headwater.ops.api import connect as connect

_DOORS = {"connect": "headwater.ops.api", "Database": "headwater.ops.api"}
__all__ = ["Database", "connect"]


def __getattr__(name: str) -> object:
    if name in _DOORS:
        return getattr(import_module(_DOORS[name]), name)
    raise AttributeError(f"module 'headwater' has no attribute {name!r}")
