"""Whether a cluster can keep what Headwater promises, from what was seen of it. Pure.

    error    a store cannot work there, or would lose what it acknowledged without a fault
    warning  it works, and one fault (a disk, a typing error, a week's pause) costs something
    ok       looked at, nothing to say

Numbers and names are those of Kafka's own settings, so that a finding can be looked up there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from headwater.log_store.kafka_durability import (
    in_sync_of,
    judge_durability,
    judge_replication,
    judge_transactions,
    judge_unclean,
    least,
    number,
    told,
)
from headwater.log_store.kafka_facts import ClusterFacts, Finding, Grade, TopicFacts
from headwater.log_store.kafka_records import Names

# What the writer asks of the cluster.
MESSAGE_BYTES: Final = 1_000_000
SESSION_MS: Final = 6_000
OFFSETS_MINUTES: Final = 7 * 24 * 60
CLOCK_MS: Final = 5_000
_DAY_MINUTES: Final = 24 * 60
# A setting that came with the oldest release whose transactions are safe from hanging.
_SINCE_3_6: Final = "log.message.timestamp.after.max.ms"


def judge_cluster(facts: ClusterFacts) -> list[Finding]:
    """Every check in order; without a broker that answers only the first."""
    if facts.unreachable:
        return [_unreachable(facts)]
    return [finding for check in _CHECKS for finding in check(facts)]


def worst(findings: Sequence[Finding]) -> Grade:
    """The gravest grade among them."""
    grades = {finding.grade for finding in findings}
    return "error" if "error" in grades else "warning" if "warning" in grades else "ok"


# Reaching it

_REASONS: Final = (
    ("resolve", "the name is not known here: check the spelling, or the DNS of this machine"),
    ("refused", "nothing listens there: check host and port, and that the broker runs"),
    (
        "authentication",
        "user or password are not accepted: check sasl.* in HEADWATER_KAFKA_OPTIONS",
    ),
    ("ssl", "TLS fails: check security.protocol and ssl.* in HEADWATER_KAFKA_OPTIONS"),
    ("invalid response size", "something else than Kafka listens there: is that the port?"),
    ("disconnected", "is that the port? and does it want TLS or SASL: set security.protocol"),
    ("timed out", "nothing comes back: a firewall, or a listener that speaks another protocol"),
)


def _unreachable(facts: ClusterFacts) -> Finding:
    said = facts.unreachable
    advice = next((then for sign, then in _REASONS if sign in said.lower()), "see the broker's log")
    return Finding("reach", facts.asked, "error", f"no broker answers ({said}): {advice}")


def _reach(facts: ClusterFacts) -> Iterator[Finding]:
    lost = [broker for broker in facts.brokers if not broker.reached]
    for broker in lost:
        yield Finding(
            "reach",
            f"broker {broker.id}",
            "error",
            f"it makes itself known as {broker.address}, which cannot be reached from here: "
            "set advertised.listeners to a name that clients can reach",
        )
    if not lost:
        known = ", ".join(f"{broker.id} at {broker.address}" for broker in facts.brokers)
        yield Finding("reach", facts.asked, "ok", f"every broker can be reached: {known}")


def _readable(facts: ClusterFacts) -> Iterator[Finding]:
    for broker in facts.brokers:
        if broker.reached and not broker.settings:
            yield Finding(
                "settings",
                f"broker {broker.id}",
                "error",
                "its settings may not be read: allow DESCRIBE_CONFIGS on the cluster",
            )


def _release(facts: ClusterFacts) -> Iterator[Finding]:
    for broker in told(facts):
        if _SINCE_3_6 not in broker.settings:
            yield Finding(
                "release",
                f"broker {broker.id}",
                "error",
                f"it does not know {_SINCE_3_6}: Headwater needs Apache Kafka 3.6 or newer",
            )
        elif broker.settings.get("transaction.partition.verification.enable") == "false":
            yield Finding(
                "release",
                f"broker {broker.id}",
                "warning",
                "transaction.partition.verification.enable=false lets a late record leave a "
                "transaction open for ever: set it to true",
            )


# Limits and habits


def _sizes(facts: ClusterFacts) -> Iterator[Finding]:
    largest = least(facts, "message.max.bytes")
    if largest is None:
        return
    if largest < MESSAGE_BYTES:
        yield Finding(
            "sizes",
            "cluster",
            "warning",
            f"message.max.bytes={largest}: a row whose event is larger is refused; the default is "
            "1048588",
        )
    else:
        yield Finding("sizes", "cluster", "ok", f"an event may have {largest} bytes")


def _habits(facts: ClusterFacts) -> Iterator[Finding]:
    found = list(_habits_of(facts))
    good = Finding("habits", "cluster", "ok", "topics are made on purpose, and compacted")
    yield from found or [good]


def _habits_of(facts: ClusterFacts) -> Iterator[Finding]:
    for broker in told(facts):
        if broker.settings.get("auto.create.topics.enable") == "true":
            yield Finding(
                "habits",
                f"broker {broker.id}",
                "warning",
                "auto.create.topics.enable=true: whoever reads a table before it is made takes its "
                "topic's name, with settings that lose history: set it to false",
            )
        if broker.settings.get("log.cleaner.enable") == "false":
            yield Finding(
                "habits",
                f"broker {broker.id}",
                "warning",
                "log.cleaner.enable=false: the state topic grows for ever: set it to true",
            )


def _groups(facts: ClusterFacts) -> Iterator[Finding]:
    shortest = least(facts, "offsets.retention.minutes")
    if shortest is not None and shortest < OFFSETS_MINUTES:
        lost = shortest < _DAY_MINUTES
        yield Finding(
            "groups",
            "cluster",
            "error" if lost else "warning",
            f"offsets.retention.minutes={shortest}: "
            + (
                "Headwater renews its groups' offsets once a day, and they expire before"
                if lost
                else "groups' offsets expire when no node of Headwater runs for so long"
            )
            + "; the default is 10080",
        )
    elif shortest is not None:
        days = shortest // _DAY_MINUTES
        yield Finding("groups", "cluster", "ok", f"offsets outlive {days} days without a node")
    for broker in told(facts):
        at_least = number(broker, "group.min.session.timeout.ms")
        at_most = number(broker, "group.max.session.timeout.ms")
        for name, at, wrong in (
            ("group.min.session.timeout.ms", at_least, (at_least or 0) > SESSION_MS),
            ("group.max.session.timeout.ms", at_most, (at_most or SESSION_MS) < SESSION_MS),
        ):
            if wrong:
                yield Finding(
                    "groups",
                    f"broker {broker.id}",
                    "error",
                    f"{name}={at}: nodes find a dead writer by a session of {SESSION_MS} ms, "
                    "which is refused",
                )


# The prefix, if it is there


def _prefix_topics(facts: ClusterFacts) -> Iterator[Finding]:
    passing = Names(facts.prefix).passing
    named = [topic for topic in facts.topics if topic.name.startswith(f"{facts.prefix}.")]
    ours = [topic for topic in named if topic.name not in passing]
    if not ours:
        yield Finding("prefix", facts.prefix, "ok", "no store is there yet")
    wrong = [finding for topic in ours for finding in _topic(topic)]
    yield from wrong
    if ours and not wrong:
        yield Finding("prefix", facts.prefix, "ok", f"{len(ours)} topics are as they were made")
    for topic in ours:
        if len(facts.brokers) > 1 and topic.settings:
            replication = judge_replication(topic.name, topic.replicas, in_sync_of(topic))
            yield from (finding for finding in replication if finding.grade != "ok")


def _topic(topic: TopicFacts) -> Iterator[Finding]:
    if topic.partitions != 1:
        yield Finding(
            "prefix",
            topic.name,
            "error",
            f"it has {topic.partitions} partitions and must have one, or the order is lost",
        )
    if topic.in_sync < topic.replicas:
        yield Finding(
            "prefix",
            topic.name,
            "warning",
            f"{topic.in_sync} of {topic.replicas} replicas keep up: look at the brokers that do not",
        )
    compacted = topic.name.endswith((".state", ".base"))
    expected = {"cleanup.policy": "compact" if compacted else "delete"}
    if not compacted:
        expected |= {"retention.ms": "-1", "retention.bytes": "-1"}
    for name, value in expected.items():
        if topic.settings and topic.settings.get(name) != value:
            yield Finding(
                "prefix",
                topic.name,
                "error",
                f"{name}={topic.settings.get(name)} loses history that is still needed: set it to "
                f"{value}",
            )


# What was tried

_MAY: Final[Mapping[int, str]] = {
    29: "CREATE, DESCRIBE, DESCRIBE_CONFIGS, READ, WRITE, DELETE on topics with the prefix {prefix}.",
    30: "READ and DESCRIBE on groups with the prefix {prefix}.",
    31: "CREATE and DESCRIBE_CONFIGS on the cluster",
    53: "WRITE and DESCRIBE on transactional ids with the prefix {prefix}",
}


def _trials(facts: ClusterFacts) -> Iterator[Finding]:
    for trial in facts.trials:
        if not trial.code:
            continue
        allowed = _MAY.get(trial.code)
        advice = (
            f"allow this user {allowed.format(prefix=facts.prefix)}"
            if allowed
            else "see the broker's log"
        )
        yield Finding("trial", trial.what, "error", f"{trial.text.rstrip('.')}: {advice}")
    if facts.trials and not any(trial.code for trial in facts.trials):
        tried = ", ".join(trial.what for trial in facts.trials)
        yield Finding("trial", facts.prefix, "ok", f"worked: {tried}")


def _clock(facts: ClusterFacts) -> Iterator[Finding]:
    ahead = facts.clock_ahead_ms
    if ahead is None:
        return
    off = (
        f"this machine's clock is {abs(ahead) / 1000:.1f} s {'ahead of' if ahead > 0 else 'behind'}"
    )
    if abs(ahead) > CLOCK_MS:
        yield Finding(
            "clock",
            "this machine",
            "warning",
            f"{off} the brokers': commits are given its time, and another node's writer goes on "
            "from the latest one: let both follow the same time server",
        )
    else:
        yield Finding("clock", "this machine", "ok", f"within {CLOCK_MS // 1000} s of the brokers'")


_CHECKS: Final[Sequence[Callable[[ClusterFacts], Iterator[Finding]]]] = (
    _reach,
    _readable,
    _release,
    judge_durability,
    judge_unclean,
    judge_transactions,
    _sizes,
    _habits,
    _groups,
    _prefix_topics,
    _trials,
    _clock,
)
