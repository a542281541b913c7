"""Paths into a VARIANT: `a.b[0]["c d"]` as DuckDB's JSON paths."""

import re
from collections.abc import Sequence
from typing import Final

_STEP: Final = re.compile(
    r"""\s*(?:\.?([A-Za-z_][\w$]*)|\.?"((?:[^"]|"")*)"|\[(\d+)\]|\[['"]([^'"]*)['"]\])"""
)


def path_text(steps: Sequence[str | int]) -> str:
    """Keys and indexes as a path that DuckDB reads."""
    made = "$"
    for step in steps:
        if isinstance(step, int):
            made += f"[{step}]"
        else:
            made += '."' + step.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return made


def steps_of_text(path: str) -> list[str | int]:
    """The keys and indexes of a path as GET_PATH takes it.

    Raises:
        ValueError: it is none.
    """
    steps: list[str | int] = []
    at = 0
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise ValueError(f"{path!r} is no path into a VARIANT")
        key = found[1] if found[1] is not None else found[2]
        if key is not None:
            steps.append(key.replace('""', '"'))
        else:
            steps.append(int(found[3]) if found[3] is not None else found[4])
        at = found.end()
    return steps
