"""What rises as a connector delivers: the rule that tells a change that comes again."""

import pytest

from headwater.schemas.delivery import Delivered, comes_again, delivered, further

POSTGRES = {"connector": "postgresql", "lsn": 900, "sequence": '["100","200"]'}
MYSQL = {"connector": "mysql", "server_id": 1, "file": "mysql-bin.000009", "pos": 4, "row": 1}


def test_postgres_goes_by_the_pair_and_never_by_the_lsn() -> None:
    # Two transactions that overlap in the log: the second to commit began, and wrote, first.
    first = delivered({**POSTGRES, "lsn": 900, "sequence": '["100","900"]'})
    second = delivered({**POSTGRES, "lsn": 300, "sequence": '["950","300"]'})

    assert first is not None
    assert not comes_again(first, second)
    assert comes_again(second, first)


def test_numbers_are_compared_as_numbers() -> None:
    assert delivered({**POSTGRES, "sequence": '["99","1000"]'}) == Delivered(
        "postgresql", (99, 1000)
    )


@pytest.mark.parametrize(
    "sequence", [None, "", "[]", '[null,"5"]', '["1"]', '["a","b"]', "[" * 50_000, '["-1","2"]']
)
def test_a_sequence_that_is_no_pair_drops_nothing(sequence: str | None) -> None:
    assert delivered({**POSTGRES, "sequence": sequence}) is None
    assert not comes_again(Delivered("postgresql", (5, 5)), None)


def test_mysql_goes_by_file_position_and_row() -> None:
    one = delivered(MYSQL)
    next_row = delivered({**MYSQL, "row": 2})
    next_file = delivered({**MYSQL, "file": "mysql-bin.000010", "pos": 1, "row": 0})

    assert not comes_again(one, next_row)
    assert not comes_again(next_row, next_file)
    assert comes_again(next_file, one)
    assert comes_again(one, one)


def test_another_servers_binlog_is_another_line() -> None:
    one = delivered({**MYSQL, "file": "mysql-bin.000900"})
    other = delivered({**MYSQL, "server_id": 2, "file": "mysql-bin.000001"})

    assert not comes_again(one, other)
    assert further(one, other) == other


def test_of_other_sources_nothing_is_known_that_rises() -> None:
    assert delivered({"connector": "mongodb", "lsn": 5}) is None
    assert further(Delivered("x", (1,)), None) == Delivered("x", (1,))
