"""Scenarios: SQL scripts with the answers they must get, one file each, read like a session.

    SELECT a, b FROM t;          a statement ends with the line that ends in `;`
    | a | b    |                 the rows it must give, under the names of its columns
    | 1 | NULL |                 (a header alone: no rows)
    -> 2 rows                    the row count it must tell
    -> unordered                 the rows may come in any order
    -> some columns              other columns than those named are not looked at
    -> error E_CODE: words       it must fail with that code, and a sentence that holds the words
    -> notice: words             a notice must hold the words
    -> restart                   (on a line of its own) the store is closed and opened again

A cell `*` is any value. Values are written as SQL shows them: TRUE, NULL, 12.50, 2024-01-15.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path


@dataclass(slots=True)
class Step:
    """One statement with what is expected of it; `sql` is empty for a restart."""

    sql: str
    line: int
    header: list[str] | None = None
    rows: list[list[str]] = field(default_factory=list[list[str]])
    count: int | None = None
    unordered: bool = False
    some: bool = False
    error: str | None = None
    notice: str | None = None


class ScenarioInvalid(ValueError):
    """A scenario file that cannot be read."""


def steps(path: Path) -> Iterator[Step]:
    """The statements of a scenario, in order."""
    waiting: list[str] = []
    begun = 0
    current: Step | None = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        text = line.strip()
        if text == "-> restart":
            if current is not None:
                yield current
            current = None
            yield Step("", number)
        elif not waiting and text.startswith(("|", "->")):
            if current is None:
                raise ScenarioInvalid(f"{path.name}:{number}: an answer to no statement")
            _expect(current, text, f"{path.name}:{number}")
        elif text or waiting:
            if not waiting:
                begun = number
            waiting.append(line)
            if text.endswith(";") and not text.startswith(("--", "//")):
                if current is not None:
                    yield current
                current = Step("\n".join(waiting), begun)
                waiting = []
    if current is not None:
        yield current
    if any(not line.strip().startswith(("--", "//")) for line in waiting if line.strip()):
        raise ScenarioInvalid(f"{path.name}:{begun}: a statement without its `;`")


def _expect(step: Step, text: str, where: str) -> None:
    if text.startswith("|"):
        cells = [cell.strip() for cell in text.strip("|").split("|")]
        if step.header is None:
            step.header = cells
        else:
            step.rows.append(cells)
        return
    said = text.removeprefix("->").strip()
    if said == "unordered":
        step.unordered = True
    elif said == "some columns":
        step.some = True
    elif said.startswith("error "):
        step.error = said.removeprefix("error ")
    elif said.startswith("notice: "):
        step.notice = said.removeprefix("notice: ")
    elif said.endswith((" rows", " row")):
        step.count = int(said.split()[0])
    else:
        raise ScenarioInvalid(f"{where}: {said!r} is nothing that can be expected")


def shown(value: object) -> str:
    """A value as SQL shows it."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case _:
            return str(value)


def differences(step: Step, names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """What an answer has otherwise than expected; empty if it is right."""
    if step.header is None:
        return ""
    if step.some:
        missing = [name for name in step.header if name not in names]
        if missing:
            return f"no column {', '.join(missing)} among {', '.join(names)}"
        at = [names.index(name) for name in step.header]
    elif list(names) != step.header:
        return f"columns {', '.join(names)}, expected {', '.join(step.header)}"
    else:
        at = list(range(len(names)))
    got = [[shown(row[i]) for i in at] for row in rows]
    wanted = step.rows
    if step.unordered:
        got, wanted = sorted(got), sorted(wanted)
    if len(got) == len(wanted) and all(map(_same, wanted, got)):
        return ""
    lines = ["rows:", *map(" | ".join, got), "expected:", *map(" | ".join, wanted)]
    return "\n".join(lines)


def _same(wanted: Sequence[str], got: Sequence[str]) -> bool:
    return len(wanted) == len(got) and all(w in ("*", g) for w, g in zip(wanted, got, strict=True))
