"""Parameters of a store: set, unset, read; checked; conflicts; what they change."""

import pytest
from support_clock import Clock
from support_producer import committing, create, insert

from headwater.log_store.errors import WriteConflict
from headwater.log_store.memory import MemoryLog
from headwater.log_store.parameters import (
    DEFAULT_STREAM_CAPTURE,
    NONDETERMINISTIC_MERGE,
    PARAMETERS,
    RETENTION_DAYS,
    flag_of,
    listed,
    number_of,
    value_of,
)
from headwater.log_store.port import Log
from headwater.log_store.records import Idempotency
from headwater.producer.errors import NotFound, ParameterInvalid
from headwater.producer.parameters import read_parameter, set_parameter, unset_parameter
from headwater.producer.transaction import Transaction


def test_a_parameter_is_its_default_until_it_is_set_and_after_it_is_unset(log: Log) -> None:
    with committing(log) as tx:
        assert read_parameter(tx, "default_stream_capture") == "ALL"
        assert set_parameter(tx, "Default_Stream_Capture", "insert_only") == "INSERT ONLY"
        assert read_parameter(tx, "DEFAULT_STREAM_CAPTURE") == "INSERT ONLY"
    with log.view() as view:
        assert value_of(view.catalog, DEFAULT_STREAM_CAPTURE) == "INSERT ONLY"
        assert [row.what for row in view.audit()] == ["set parameter"]
    with committing(log) as tx:
        assert unset_parameter(tx, "DEFAULT_STREAM_CAPTURE") == "ALL"
    with log.view() as view:
        assert value_of(view.catalog, DEFAULT_STREAM_CAPTURE) == "ALL"
    with committing(log) as tx:
        set_parameter(tx, "DEFAULT_STREAM_CAPTURE", "NET")
    with log.view() as view:
        assert value_of(view.catalog, DEFAULT_STREAM_CAPTURE) == "NET"


def test_parameters_have_the_type_they_are_asked_for(log: Log) -> None:
    with log.view() as view:
        assert flag_of(view.catalog, NONDETERMINISTIC_MERGE)
        assert number_of(view.catalog, RETENTION_DAYS) is None
        assert dict(listed(view.catalog))[DEFAULT_STREAM_CAPTURE] == "ALL"
    with committing(log) as tx:
        set_parameter(tx, NONDETERMINISTIC_MERGE.name, value=False)
        set_parameter(tx, RETENTION_DAYS.name, "030")
    with log.view() as view:
        assert not flag_of(view.catalog, NONDETERMINISTIC_MERGE)
        assert number_of(view.catalog, RETENTION_DAYS) == 30
    with committing(log) as tx:
        assert set_parameter(tx, RETENTION_DAYS.name, "") == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEFAULT_STREAM_CAPTURE", "SOME"),
        ("DEFAULT_STREAM_CONSUMERS", ""),
        ("ERROR_ON_NONDETERMINISTIC_MERGE", "maybe"),
        ("IDEMPOTENCY_RETENTION_DAYS", "0"),
        ("IDEMPOTENCY_RETENTION_DAYS", "-1"),
        ("IDEMPOTENCY_RETENTION_DAYS", ""),
        ("MAX_DATA_EXTENSION_TIME_IN_DAYS", "1.5"),
        ("MAX_DATA_EXTENSION_TIME_IN_DAYS", "1000000"),
        ("DATA_RETENTION_TIME_IN_DAYS", "\u0663"),
    ],
)
def test_a_value_that_a_parameter_cannot_have_is_refused(log: Log, name: str, value: str) -> None:
    tx = Transaction(log)
    with pytest.raises(ParameterInvalid, match=f"parameter {name} cannot be"):
        set_parameter(tx, name, value)
    assert tx.commit().sequence == 0


def test_an_unknown_parameter_is_refused_with_those_there_are(log: Log) -> None:
    tx = Transaction(log)
    for ask in (read_parameter, unset_parameter):
        with pytest.raises(NotFound, match=", ".join(PARAMETERS)):
            ask(tx, "DEFAULT_STREAM_CAPTUR")
    with pytest.raises(NotFound):
        set_parameter(tx, "WAREHOUSE_SIZE", "XL")
    tx.rollback()


def test_the_second_of_two_settings_of_a_parameter_conflicts(log: Log) -> None:
    for _ in ("made", "changed"):
        first, second = Transaction(log), Transaction(log)
        set_parameter(first, "DEFAULT_STREAM_CAPTURE", "NET")
        set_parameter(second, "DEFAULT_STREAM_CAPTURE", "ALL")
        first.commit()
        with pytest.raises(WriteConflict):
            second.commit()


def test_idempotency_keys_are_remembered_for_as_many_days_as_set() -> None:
    clock, day_us = Clock(), 86_400_000_000
    log = MemoryLog("shop", clock=clock)
    orders = create(log)
    with committing(log) as tx:
        set_parameter(tx, "IDEMPOTENCY_RETENTION_DAYS", 2)

    def send() -> bool:
        tx = Transaction(log, idempotency=Idempotency("key", b"digest"))
        tx.insert(orders, [(len(rows), "a")])
        rows.append(tx)
        return tx.commit().repeated

    rows: list[Transaction] = []
    assert not send()
    clock.now_us += 2 * day_us - 60_000_000
    assert send()
    clock.now_us += 60_000_000
    assert not send()
    insert(log, orders, (9, "z"))
    log.close()
