"""Wrong statements: each is told what is wrong and where, and changes nothing."""

from collections.abc import Iterator

import pytest
from support_bad_statements import SETUP, Case, cases, digest, said

import headwater
from headwater.ops.api import Database

CASES = cases()


@pytest.fixture(scope="module")
def db() -> Iterator[Database]:
    with headwater.connect("memory:") as made:
        made.sql.execute(SETUP)
        yield made


def test_there_are_two_hundred_of_sixty_causes() -> None:
    assert len({case.text for case in CASES}) >= 200
    assert len({case.cause for case in CASES}) >= 60


@pytest.mark.parametrize("case", CASES, ids=[case.text.split("\n")[0][:60] for case in CASES])
def test_a_wrong_statement_is_told_what_and_where_and_changes_nothing(
    db: Database, case: Case
) -> None:
    before = digest(db.sql.store.log)
    assert said(db, case) == case
    assert digest(db.sql.store.log) == before
    assert not db.sql.in_transaction


@pytest.mark.parametrize("case", CASES, ids=[case.text.split("\n")[0][:60] for case in CASES])
def test_a_place_is_counted_in_the_whole_script(db: Database, case: Case) -> None:
    script = Case(case.cause, "SELECT 1;\n  -- a line\n   " + case.text)
    found = said(db, script)
    line, column = (int(part) for part in case.place.split(":")) if case.place != "-" else (0, 0)
    shifted = (line + 2, column + 3 if line == 1 else column)
    if case.place != "-":
        assert found.place == "{}:{}".format(*shifted)
    assert found.code == case.code


def test_inside_a_transaction_a_wrong_statement_undoes_itself_only(db: Database) -> None:
    db.sql.execute("BEGIN; INSERT INTO t VALUES (9, 'kept')")
    for case in CASES:
        said(db, case)
        assert db.sql.in_transaction, case.text
    (result,) = db.sql.execute("SELECT COUNT(*) FROM t")
    assert result.table().to_pylist()[0] == {"COUNT(*)": 4}
    db.sql.execute("ROLLBACK")
