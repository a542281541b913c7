"""Where COPY may read and write: paths of the folders that the store allows, and no others."""

import re
from collections.abc import Sequence
from pathlib import Path

from headwater.producer.errors import SourceUnreadable
from headwater.sql.context import Context
from headwater.sql.errors import OperationalError, ProgrammingError, unsupported
from headwater.sql.statements import CopyInto


def place_of_copy(context: Context, location: str) -> Path:
    """The path that a COPY names, whole and without links.

    Raises:
        NotSupportedError: a stage or a URL. OperationalError: a folder that is not allowed.
    """
    text = location.removeprefix("file://")
    if text.startswith("@"):
        raise unsupported("Headwater has no stages: COPY takes a path in single quotes")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        raise unsupported(f"{location} is no path: COPY reads and writes files of this machine")
    if not text or "\0" in text:
        raise ProgrammingError("COPY needs a path", code="E_COPY_LOCATION")
    path = Path(text).expanduser().resolve()
    check_allowed(context, path)
    return path


def check_allowed(context: Context, path: Path) -> None:
    """Refuse a path outside the store's folders.

    Raises:
        OperationalError: it is.
    """
    allowed = context.store.locations
    if allowed is None:
        return
    if not any(path.is_relative_to(folder.expanduser().resolve()) for folder in allowed):
        said = ", ".join(map(str, allowed)) or "none"
        raise OperationalError(
            f"COPY may not touch {path}: allowed folders are {said}",
            code="E_COPY_LOCATION",
            fields={"path": str(path)},
        )


def files_of(context: Context, statement: CopyInto) -> list[tuple[str, Path]]:
    """The files that a COPY INTO a table reads, in order of their names, as shown and as they are.

    Raises:
        SourceUnreadable: there is no such place or file. ProgrammingError: no pattern.
    """
    root = place_of_copy(context, statement.location)
    if statement.files:
        return [(name, _named(context, root, name)) for name in statement.files]
    if root.is_file():
        found = [(root.name, root)]
    elif root.is_dir():
        inside = sorted(path for path in root.rglob("*") if path.is_file())
        shown = [(path.relative_to(root).as_posix(), path) for path in inside]
        found = [(name, path) for name, path in shown if not _hidden(name)]
    else:
        raise SourceUnreadable(statement.location, "there is no such file or folder")
    for _, path in found:
        check_allowed(context, path.resolve())
    return found if statement.pattern is None else _matching(found, statement.pattern)


def _named(context: Context, root: Path, name: str) -> Path:
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise ProgrammingError(
            f"FILES name {name}, which is outside {root}", code="E_COPY_LOCATION"
        )
    check_allowed(context, path)
    if not path.is_file():
        raise SourceUnreadable(name, f"there is no such file in {root}")
    return path


def _hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _matching(found: Sequence[tuple[str, Path]], pattern: str) -> list[tuple[str, Path]]:
    if len(pattern) > 1000:
        raise ProgrammingError("PATTERN is longer than 1000 characters", code="E_COPY_PATTERN")
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise ProgrammingError(
            f"PATTERN {pattern!r} is no regular expression: {error}", code="E_COPY_PATTERN"
        ) from error
    return [(name, path) for name, path in found if wanted.fullmatch(name)]
