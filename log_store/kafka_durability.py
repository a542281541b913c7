"""Whether a cluster keeps what it acknowledges, from its brokers' settings and copies. Pure."""

from collections.abc import Iterator
from typing import Final

from headwater.log_store.kafka_facts import (
    BrokerFacts,
    ClusterFacts,
    Finding,
    Grade,
    TopicFacts,
)

TRANSACTION_MS: Final = 60_000
_STATE_TOPIC: Final = "__transaction_state"


def judge_promise(topic: TopicFacts) -> list[Finding]:
    """What could lose commits that a topic, once made, has acknowledged; none if nothing could."""
    found = [
        one
        for one in judge_replication(topic.name, topic.replicas, in_sync_of(topic))
        if one.grade != "ok"
    ]
    if topic.settings.get(_UNCLEAN) == "true":
        found.append(_unclean_at(topic.name))
    return found


def judge_durability(facts: ClusterFacts) -> Iterator[Finding]:
    count = len(facts.brokers)
    if count == 1:
        yield Finding(
            "durability",
            "cluster",
            "warning",
            "there is one broker: what it acknowledged is lost with its disk, and waits while it "
            "is down; three brokers with replication 3 keep it",
        )
        return
    replicas, in_sync = least(facts, "default.replication.factor"), least(facts, _IN_SYNC)
    if replicas is not None and in_sync is not None:
        yield from judge_replication("new topics", replicas, in_sync)
    if replicas is not None and replicas > count:
        yield Finding(
            "durability",
            "new topics",
            "error",
            f"default.replication.factor={replicas} cannot be had with {count} brokers: no topic "
            "can be made",
        )


_IN_SYNC: Final = "min.insync.replicas"


def judge_replication(subject: str, replicas: int, in_sync: int) -> Iterator[Finding]:
    """Whether so many copies, of which so many must acknowledge, keep a commit."""
    copies = f"{replicas} replica{'s' * (replicas > 1)}, {_IN_SYNC}={in_sync}"
    grade: Grade = "warning"
    if in_sync > replicas:
        grade, why = "error", "no commit can ever be acknowledged: lower it"
    elif replicas == 1:
        why = "a commit is lost with one broker's disk: use 3 replicas"
    elif in_sync == 1:
        why = f"one broker alone may acknowledge a commit: set {_IN_SYNC}=2"
    elif in_sync == replicas:
        why = "nothing can be committed while one broker is down: use 3 and 2"
    else:
        yield Finding("durability", subject, "ok", copies)
        return
    yield Finding("durability", subject, grade, f"{copies}: {why}")


def judge_unclean(facts: ClusterFacts) -> Iterator[Finding]:
    for broker in told(facts):
        if broker.settings.get(_UNCLEAN) == "true":
            yield _unclean_at(f"broker {broker.id}")


_UNCLEAN: Final = "unclean.leader.election.enable"


def _unclean_at(subject: str) -> Finding:
    return Finding(
        "durability",
        subject,
        "error",
        f"{_UNCLEAN}=true lets a broker that lags behind take over and drop what was "
        "acknowledged: set it to false",
    )


def judge_transactions(facts: ClusterFacts) -> Iterator[Finding]:
    found = [*_transaction_log(facts), *_transaction_time(facts)]
    longest = least(facts, _LONGEST)
    if not found and longest is not None:
        shown = f"a commit may take {longest // 1000} s"
        found = [Finding("transactions", "cluster", "ok", shown)]
    yield from found


_LONGEST: Final = "transaction.max.timeout.ms"


def _transaction_log(facts: ClusterFacts) -> Iterator[Finding]:
    name, count = "transaction.state.log.replication.factor", len(facts.brokers)
    replicas, in_sync = least(facts, name), least(facts, "transaction.state.log.min.isr")
    made = any(topic.name == _STATE_TOPIC for topic in facts.topics)
    if replicas is None or in_sync is None:
        return
    if not made and replicas > count:
        yield Finding(
            "transactions",
            "cluster",
            "error",
            f"{name}={replicas} cannot be had with {count} broker{'s' * (count > 1)}: no "
            "transaction can begin",
        )
    elif count > 1 and (replicas == 1 or in_sync == 1):
        yield Finding(
            "transactions",
            "cluster",
            "warning",
            f"{name}={replicas}, transaction.state.log.min.isr={in_sync}: with one broker's disk "
            "it is lost which transactions were committed: use 3 and 2",
        )


def _transaction_time(facts: ClusterFacts) -> Iterator[Finding]:
    longest = least(facts, _LONGEST)
    if longest is not None and longest < TRANSACTION_MS:
        yield Finding(
            "transactions",
            "cluster",
            "warning",
            f"{_LONGEST}={longest}: a commit that takes longer is refused; the default, 900000, "
            "leaves large ones their time",
        )


def told(facts: ClusterFacts) -> list[BrokerFacts]:
    return [broker for broker in facts.brokers if broker.settings]


def number(broker: BrokerFacts, name: str) -> int | None:
    text = broker.settings.get(name, "")
    return int(text) if text.lstrip("-").isdigit() else None


def least(facts: ClusterFacts, name: str) -> int | None:
    """The smallest value that any broker has; None if none tells."""
    numbers = [found for broker in told(facts) if (found := number(broker, name)) is not None]
    return min(numbers, default=None)


def in_sync_of(topic: TopicFacts) -> int:
    text = topic.settings.get(_IN_SYNC, "1")
    return int(text) if text.isdigit() else 1
