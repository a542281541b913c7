"""What each fault of a broker means at each step: the whole table, and its laws."""

import itertools

import pytest

from headwater.log_store.kafka_outcome import (
    FENCED_CODES,
    GROUP_CODES,
    REFUSE_CODES,
    STOP_CODES,
    BrokerFault,
    Step,
    Verdict,
    group_in_use,
    judge,
)

TIMED_OUT, MSG_TIMED_OUT, FATAL = -185, -192, -150
CONCURRENT, COORDINATOR_LOADING, NOT_ENOUGH_REPLICAS = 51, 14, 19
FENCED, EPOCH, PRODUCER_FENCED = -144, 47, 90
TOO_LARGE, UNKNOWN_MEMBER, NOT_AUTHORISED = 10, 25, 29
ENDINGS = (Step.COMMIT, Step.ABORT)

R, A, U = Verdict.RETRY, Verdict.ABORT, Verdict.UNKNOWN
F, S, X = Verdict.FENCED, Verdict.STOP, Verdict.REFUSE

TABLE = [
    # fault, and the verdict at OPEN, BEGIN, PRODUCE, OFFSETS, COMMIT, ABORT
    (BrokerFault(COORDINATOR_LOADING, retriable=True), (R, R, R, R, R, R)),
    (BrokerFault(CONCURRENT, retriable=True), (R, R, R, R, R, R)),
    (BrokerFault(TIMED_OUT, retriable=True), (R, R, R, R, R, R)),
    (BrokerFault(TIMED_OUT), (U, U, A, A, U, U)),
    (BrokerFault(MSG_TIMED_OUT, abortable=True), (U, U, A, A, U, U)),
    (BrokerFault(NOT_ENOUGH_REPLICAS, abortable=True), (U, U, A, A, U, U)),
    (BrokerFault(FATAL, fatal=True), (U, U, U, U, U, U)),
    (BrokerFault(FENCED, fatal=True), (F, F, F, F, F, F)),
    (BrokerFault(EPOCH, abortable=True), (F, F, F, F, F, F)),
    (BrokerFault(PRODUCER_FENCED, fatal=True), (F, F, F, F, F, F)),
    (BrokerFault(NOT_AUTHORISED, abortable=True), (S, S, S, S, U, U)),
    (BrokerFault(TOO_LARGE), (U, U, X, A, U, U)),
    (BrokerFault(UNKNOWN_MEMBER, abortable=True), (U, U, A, A, U, U)),
]


@pytest.mark.parametrize(("fault", "verdicts"), TABLE)
def test_each_fault_means_one_thing_at_each_step(
    fault: BrokerFault, verdicts: tuple[Verdict, ...]
) -> None:
    assert tuple(judge(fault, step) for step in Step) == verdicts


@pytest.mark.parametrize("step", ENDINGS)
def test_what_can_be_repeated_is_unknown_once_its_time_is_up(step: Step) -> None:
    fault = BrokerFault(TIMED_OUT, retriable=True)
    assert judge(fault, step, out_of_time=True) is Verdict.UNKNOWN
    assert judge(fault, Step.PRODUCE, out_of_time=True) is Verdict.ABORT


def test_an_ending_is_never_called_aborted_or_refused() -> None:
    every = {fault.code for fault, _ in TABLE} | FENCED_CODES | STOP_CODES | REFUSE_CODES
    flags = itertools.product((False, True), repeat=4)
    for code, (retriable, abortable, fatal, late), step in itertools.product(every, flags, ENDINGS):
        fault = BrokerFault(code, retriable, abortable, fatal)
        verdict = judge(fault, step, out_of_time=late)
        assert verdict in {Verdict.RETRY, Verdict.UNKNOWN, Verdict.FENCED}


def test_a_producer_that_was_fenced_is_never_asked_again() -> None:
    for code, step in itertools.product(FENCED_CODES - GROUP_CODES, Step):
        for retriable in (False, True):
            assert judge(BrokerFault(code, retriable=retriable), step) is Verdict.FENCED


def test_a_member_of_somebody_else_costs_the_transaction_and_not_the_writer() -> None:
    for code in GROUP_CODES:
        fault = BrokerFault(code, abortable=True)
        assert group_in_use(fault)
        assert judge(fault, Step.OFFSETS) is Verdict.ABORT
    assert not group_in_use(BrokerFault(EPOCH))
