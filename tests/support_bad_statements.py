"""The stored table of wrong statements: what each one is told, and where.

    # the cause of the cases below
    ## E_SQL_SYNTAX 1:8
    ## the sentence
    the statement, on as many lines as it needs

Rewrite it with `python tests/support_bad_statements.py` after a change of words, and read the
difference.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import headwater
from headwater.log_store.port import Log
from headwater.ops.api import Database
from headwater.sql.errors import Error

TABLE: Final = Path(__file__).parent / "sql" / "bad_statements.txt"

# What is there when each of them is sent.
SETUP: Final = """
    CREATE TABLE t (a INT, b VARCHAR(10)); CREATE TABLE u (a INT, b VARCHAR(10));
    CREATE TABLE k (id INT PRIMARY KEY, n INT); INSERT INTO k VALUES (1, 1), (2, 2);
    INSERT INTO t VALUES (1, 'x'); INSERT INTO t VALUES (2, 'y'); INSERT INTO t VALUES (3, 'z');
    CREATE VIEW v AS SELECT a FROM t WHERE a > 1; CREATE VIEW grouped AS SELECT COUNT(*) AS n FROM t;
    CREATE STREAM s ON TABLE t AT (VERSION => 1); CREATE STREAM s2 ON TABLE t;
    CREATE STREAM on_u ON TABLE u; CREATE STREAM shared ON TABLE t CONSUMERS = SHARED;
    ALTER STREAM s ADD CONSUMER c; ALTER STREAM s ADD CONSUMER d AT VERSION 2;
    CREATE SCHEMA other; CREATE TABLE inside (a INT); USE SCHEMA public
"""


_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00")


@dataclass(frozen=True)
class Case:
    """A wrong statement, and what is said of it."""

    cause: str
    text: str
    code: str = ""
    place: str = ""
    message: str = ""


def cases() -> list[Case]:
    """All cases of the table, in order."""
    return list(_read(TABLE.read_text().splitlines()))


def _read(lines: Sequence[str]) -> Iterator[Case]:
    cause, head, text = "", list[str](), list[str]()
    for line in [*lines, "#"]:
        if line.startswith("#") and text:
            yield _case(cause, head, text)
            head, text = [], []
        if line.startswith("## "):
            head.append(line[3:])
        elif line.startswith("# "):
            cause = line[2:]
        elif line:
            text.append(line)


def _case(cause: str, head: Sequence[str], text: Sequence[str]) -> Case:
    code, place = head[0].split(" ") if head else ("", "")
    return Case(cause, "\n".join(text), code, place, head[1] if head else "")


def written(found: Sequence[Case]) -> str:
    """The table's text."""
    out: list[str] = []
    cause = ""
    for case in found:
        if case.cause != cause:
            cause = case.cause
            out += ["", f"# {cause}"] if out else [f"# {cause}"]
        out += [f"## {case.code} {case.place}", f"## {case.message}", case.text]
    return "\n".join(out) + "\n"


def said(db: Database, case: Case) -> Case:
    """The case with what is said of it now."""
    try:
        db.sql.execute(case.text)
    except Error as error:
        place = "-" if error.place is None else f"{error.place.line}:{error.place.column}"
        message = _TIME.sub("<time>", error.message)
        return Case(case.cause, case.text, error.code, place, message)
    return Case(case.cause, case.text, "NONE", "-", "it is no wrong statement")


def digest(log: Log) -> str:
    """One hash of all that a store holds: catalog, versions, watermarks, moves, audit."""
    made = hashlib.sha256()
    with log.view() as view:
        objects: Mapping[tuple[str, int], object] = view.catalog.objects
        for key in sorted(objects):
            made.update(repr((key, objects[key])).encode())
            if key[0] == "table":
                made.update(repr(view.head(key[1])).encode())
            if key[0] == "consumer":
                made.update(repr((view.watermark(key[1]), list(view.moves(key[1])))).encode())
        for row in view.audit():
            made.update(repr(row).encode())
        made.update(str(view.sequence).encode())
    return made.hexdigest()


def main() -> None:
    """Write what is said now into the table."""
    with headwater.connect("memory:") as db:
        db.sql.execute(SETUP)
        TABLE.write_text(written([said(db, case) for case in cases()]))


if __name__ == "__main__":
    main()
