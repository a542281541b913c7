"""What an error from the broker means for the transaction it met. Pure.

    RETRY    the same call again, within the deadline        the transaction goes on
    REFUSE   this batch can never be written                 abort, the others go again
    ABORT    the transaction cannot be committed             abort, all go again
    UNKNOWN  the producer cannot say what became of it       destroy it, fence, read on, look
    FENCED   another writer has the prefix                   stop writing; at the end, look first
    STOP     the cluster does not allow it                   stop writing, tell the operator

librdkafka does not speak KIP-890's second part: an end of a transaction that it gave up on may
still be applied, to the next transaction of the same epoch. So whatever goes wrong while one is
being ended, an abort included, leaves a producer that must never begin again.
"""

from enum import Enum
from typing import Final, NamedTuple


class Step(Enum):
    """What the producer was asked for."""

    OPEN = "open"  # init_transactions
    BEGIN = "begin"
    PRODUCE = "produce"  # a record, or its delivery
    OFFSETS = "offsets"  # send_offsets_to_transaction
    COMMIT = "commit"
    ABORT = "abort"


class Verdict(Enum):
    """What to do about it; see the module."""

    RETRY = "retry"
    REFUSE = "refuse"
    ABORT = "abort"
    UNKNOWN = "unknown"
    FENCED = "fenced"
    STOP = "stop"


class BrokerFault(NamedTuple):
    """An error as the driver reports it: its number and the three flags it may carry."""

    code: int
    retriable: bool = False
    abortable: bool = False
    fatal: bool = False


# Numbers of Kafka's protocol; those below zero are librdkafka's own.
FENCED_CODES: Final = frozenset(
    {
        -144,  # _FENCED
        47,  # INVALID_PRODUCER_EPOCH
        90,  # PRODUCER_FENCED
        82,  # FENCED_INSTANCE_ID
    }
)
STOP_CODES: Final = frozenset(
    {
        -169,  # _AUTHENTICATION
        -181,  # _SSL
        -165,  # _UNSUPPORTED_FEATURE
        29,  # TOPIC_AUTHORIZATION_FAILED
        30,  # GROUP_AUTHORIZATION_FAILED
        31,  # CLUSTER_AUTHORIZATION_FAILED
        33,  # UNSUPPORTED_SASL_MECHANISM
        35,  # UNSUPPORTED_VERSION
        50,  # INVALID_TRANSACTION_TIMEOUT
        53,  # TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        58,  # SASL_AUTHENTICATION_FAILED
        65,  # DELEGATION_TOKEN_AUTHORIZATION_FAILED
    }
)
REFUSE_CODES: Final = frozenset(
    {
        10,  # MSG_SIZE_TOO_LARGE
        18,  # RECORD_LIST_TOO_LARGE
    }
)
# A group that somebody else's members hold: its offset cannot be part of the transaction.
GROUP_CODES: Final = frozenset(
    {
        22,  # ILLEGAL_GENERATION
        25,  # UNKNOWN_MEMBER_ID
        27,  # REBALANCE_IN_PROGRESS
        68,  # NON_EMPTY_GROUP
        82,  # FENCED_INSTANCE_ID
        110,  # FENCED_MEMBER_EPOCH
        113,  # STALE_MEMBER_EPOCH
        69,  # GROUP_ID_NOT_FOUND
    }
)
_ENDING: Final = frozenset({Step.COMMIT, Step.ABORT})


def judge(fault: BrokerFault, step: Step, *, out_of_time: bool = False) -> Verdict:
    """What a fault at a step means; `out_of_time`: the deadline for repeating it has passed."""
    if step is Step.OFFSETS and fault.code in GROUP_CODES:
        return Verdict.ABORT
    if fault.code in FENCED_CODES:
        return Verdict.FENCED
    if fault.code in STOP_CODES:
        # A refused end leaves the transaction open, and nobody knows for whom.
        return Verdict.UNKNOWN if step in _ENDING else Verdict.STOP
    if fault.code in REFUSE_CODES and step is Step.PRODUCE:
        return Verdict.REFUSE
    if fault.retriable and not fault.fatal and not out_of_time:
        return Verdict.RETRY
    if step in _ENDING or fault.fatal:
        return Verdict.UNKNOWN
    if step in (Step.OPEN, Step.BEGIN):
        return Verdict.UNKNOWN
    return Verdict.ABORT


def group_in_use(fault: BrokerFault) -> bool:
    """Whether an offset was refused because somebody else's member sits in the group."""
    return fault.code in GROUP_CODES
