"""What is said about a cluster, case by case, from what was seen of it."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from headwater.log_store.kafka_durability import judge_promise
from headwater.log_store.kafka_facts import BrokerFacts, ClusterFacts, Finding, TopicFacts, Trial
from headwater.log_store.kafka_fitness import judge_cluster, worst

# A broker's settings as Kafka ships them, for three brokers run with care.
GOOD: Mapping[str, str] = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "unclean.leader.election.enable": "false",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "transaction.max.timeout.ms": "900000",
    "transaction.partition.verification.enable": "true",
    "message.max.bytes": "1048588",
    "auto.create.topics.enable": "false",
    "log.cleaner.enable": "true",
    "offsets.retention.minutes": "10080",
    "group.min.session.timeout.ms": "6000",
    "group.max.session.timeout.ms": "1800000",
    "log.message.timestamp.after.max.ms": "3600000",
}
KEPT = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "min.insync.replicas": "2",
}


def cluster(count: int = 3, changed: Mapping[str, str] = GOOD) -> ClusterFacts:
    """A cluster of so many brokers; settings are changed on broker 1 alone."""
    first = {**GOOD, **changed}
    brokers = [
        BrokerFacts(number, f"kafka{number}:9092", settings=first if number == 1 else GOOD)
        for number in range(1, count + 1)
    ]
    return ClusterFacts(brokers=brokers, asked="kafka1:9092", prefix="shop")


def bad(facts: ClusterFacts) -> list[Finding]:
    """What is not ok."""
    return [finding for finding in judge_cluster(facts) if finding.grade != "ok"]


def only(facts: ClusterFacts) -> Finding:
    """The one thing that is not ok."""
    found = bad(facts)
    assert len(found) == 1, found
    return found[0]


def test_three_brokers_run_with_care_are_fine() -> None:
    findings = judge_cluster(cluster())

    assert {finding.grade for finding in findings} == {"ok"}
    assert worst(findings) == "ok"
    assert [finding.check for finding in findings] == [
        "reach",
        "durability",
        "transactions",
        "sizes",
        "habits",
        "groups",
        "prefix",
    ]


@pytest.mark.parametrize(
    ("setting", "value", "check", "grade", "words"),
    [
        ("default.replication.factor", "1", "durability", "error", "no commit can ever"),
        ("default.replication.factor", "2", "durability", "warning", "while one broker is down"),
        ("min.insync.replicas", "1", "durability", "warning", "set min.insync.replicas=2"),
        ("unclean.leader.election.enable", "true", "durability", "error", "drop what was ack"),
        ("transaction.state.log.replication.factor", "1", "transactions", "warning", "use 3 and 2"),
        ("transaction.state.log.min.isr", "1", "transactions", "warning", "use 3 and 2"),
        ("transaction.state.log.replication.factor", "3", "", "ok", ""),
        ("transaction.max.timeout.ms", "59999", "transactions", "warning", "takes longer"),
        ("transaction.max.timeout.ms", "60000", "", "ok", ""),
        ("transaction.partition.verification.enable", "false", "release", "warning", "for ever"),
        ("message.max.bytes", "999999", "sizes", "warning", "a row whose event is larger"),
        ("message.max.bytes", "1000000", "", "ok", ""),
        ("auto.create.topics.enable", "true", "habits", "warning", "before it is made"),
        ("log.cleaner.enable", "false", "habits", "warning", "grows for ever"),
        ("offsets.retention.minutes", "10079", "groups", "warning", "no node of Headwater"),
        ("offsets.retention.minutes", "1439", "groups", "error", "expire before"),
        ("offsets.retention.minutes", "1440", "groups", "warning", "no node of Headwater"),
        ("group.min.session.timeout.ms", "6001", "groups", "error", "6000 ms"),
        ("group.max.session.timeout.ms", "5999", "groups", "error", "6000 ms"),
    ],
)
def test_one_broker_with_one_setting_is_told_of(
    setting: str, value: str, check: str, grade: str, words: str
) -> None:
    facts = cluster(changed={setting: value})

    if grade == "ok":
        assert bad(facts) == []
        return
    finding = only(facts)
    assert (finding.check, finding.grade) == (check, grade)
    assert words in finding.sentence


def test_in_sync_replicas_that_cannot_be_reached_stop_every_commit() -> None:
    facts = cluster(changed={"default.replication.factor": "2"})
    stricter = [replace(one, settings={**one.settings, "min.insync.replicas": "3"})
                for one in facts.brokers]  # fmt: skip

    finding = only(replace(facts, brokers=stricter))

    assert (finding.check, finding.grade) == ("durability", "error")
    assert "no commit can ever be acknowledged" in finding.sentence


def test_one_broker_is_told_what_it_cannot_keep() -> None:
    single = cluster(
        1,
        {
            "default.replication.factor": "1",
            "min.insync.replicas": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
        },
    )

    finding = only(single)

    assert (finding.check, finding.grade) == ("durability", "warning")
    assert "lost with its disk" in finding.sentence


def test_a_transaction_log_with_more_copies_than_brokers_is_an_error_until_it_is_made() -> None:
    single = cluster(1)
    made = replace(single, topics=[TopicFacts("__transaction_state", 50, 1, 1)])

    assert ("transactions", "error") in {(one.check, one.grade) for one in bad(single)}
    assert ("transactions", "error") not in {(one.check, one.grade) for one in bad(made)}


def test_more_copies_than_brokers_cannot_be_had() -> None:
    found = bad(replace(cluster(2), topics=[TopicFacts("__transaction_state", 50, 2, 2)]))

    assert [(one.check, one.grade) for one in found] == [("durability", "error")]
    assert "default.replication.factor=3 cannot be had with 2 brokers" in found[0].sentence


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Failed to resolve 'nohost:9092': Name or service not known", "spelling"),
        ("Connect to ipv4#127.0.0.1:1 failed: Connection refused", "nothing listens"),
        ("SASL authentication error: Authentication failed", "user or password"),
        ("SSL handshake failed: certificate verify failed", "TLS fails"),
        ("Invalid response size 1213486160", "something else than Kafka"),
        ("Disconnected while requesting ApiVersion", "TLS or SASL"),
        ("Connection setup timed out in state CONNECT", "firewall"),
        ("out of paper", "broker's log"),
    ],
)
def test_why_nobody_answers_comes_with_what_to_do(said: str, words: str) -> None:
    findings = judge_cluster(ClusterFacts(unreachable=said, asked="h:1", prefix="shop"))

    assert [(one.check, one.subject, one.grade) for one in findings] == [("reach", "h:1", "error")]
    assert said in findings[0].sentence
    assert words in findings[0].sentence


def test_a_broker_that_gives_an_address_of_its_own_world_is_named() -> None:
    facts = cluster()
    lost = replace(facts.brokers[2], reached=False, settings={})

    finding = only(replace(facts, brokers=[*facts.brokers[:2], lost]))

    assert (finding.subject, finding.grade) == ("broker 3", "error")
    assert "kafka3:9092" in finding.sentence
    assert "advertised.listeners" in finding.sentence


def test_settings_that_may_not_be_read_are_asked_for() -> None:
    facts = cluster()
    shy = [replace(broker, settings={}) for broker in facts.brokers]

    found = bad(replace(facts, brokers=shy))

    assert [one.check for one in found] == ["settings"] * 3
    assert all("DESCRIBE_CONFIGS" in one.sentence for one in found)


def test_a_broker_older_than_3_6_is_refused() -> None:
    facts = cluster()
    old = {name: value for name, value in GOOD.items() if "timestamp" not in name}

    finding = only(replace(facts, brokers=[replace(facts.brokers[0], settings=old),
                                           *facts.brokers[1:]]))  # fmt: skip

    assert (finding.check, finding.grade) == ("release", "error")


@pytest.mark.parametrize(
    ("topic", "grade", "words"),
    [
        (TopicFacts("shop.public.t", 1, 3, 3, KEPT), "ok", ""),
        (TopicFacts("shop.public.t", 3, 3, 3, KEPT), "error", "3 partitions"),
        (TopicFacts("shop.public.t", 1, 3, 2, KEPT), "warning", "2 of 3 replicas"),
        (TopicFacts("shop.public.t", 1, 1, 1, KEPT), "error", "no commit can ever"),
        (TopicFacts("shop.public.t", 1, 2, 2, KEPT), "warning", "one broker is down"),
        (
            TopicFacts("shop.public.t", 1, 3, 3, {**KEPT, "retention.ms": "604800000"}),
            "error",
            "retention.ms=604800000 loses history",
        ),
        (
            TopicFacts("shop.public.t", 1, 3, 3, {**KEPT, "cleanup.policy": "compact"}),
            "error",
            "set it to delete",
        ),
        (TopicFacts("shop.state", 1, 3, 3, {**KEPT, "cleanup.policy": "compact"}), "ok", ""),
        (TopicFacts("shop.state", 1, 3, 3, KEPT), "error", "set it to compact"),
        (TopicFacts("shopping.public.t", 3, 1, 1, {}), "ok", ""),
        (TopicFacts("shop.public.t", 1, 3, 3, {}), "ok", ""),
    ],
)
def test_topics_of_the_prefix_are_held_to_how_they_were_made(
    topic: TopicFacts, grade: str, words: str
) -> None:
    facts = replace(cluster(), topics=[topic])

    if grade == "ok":
        assert bad(facts) == []
        return
    finding = only(facts)
    assert (finding.subject, finding.grade) == (topic.name, grade)
    assert words in finding.sentence


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (29, "topics with the prefix shop."),
        (30, "groups with the prefix shop."),
        (31, "on the cluster"),
        (53, "transactional ids with the prefix shop"),
        (7, "broker's log"),
    ],
)
def test_what_was_refused_comes_with_what_to_allow(code: int, words: str) -> None:
    trials = [Trial("make a topic"), Trial("begin as a writer", code, "not allowed.")]

    finding = only(replace(cluster(), trials=trials))

    assert (finding.check, finding.subject, finding.grade) == (
        "trial",
        "begin as a writer",
        "error",
    )
    assert finding.sentence.startswith("not allowed: ")
    assert words in finding.sentence


def test_trials_that_worked_are_listed() -> None:
    findings = judge_cluster(replace(cluster(), trials=[Trial("make a topic"), Trial("read it")]))

    assert findings[-1] == Finding("trial", "shop", "ok", "worked: make a topic, read it")


@pytest.mark.parametrize(
    ("ahead_ms", "grade", "said"),
    [
        (0, "ok", "within 5 s"),
        (5_000, "ok", "within 5 s"),
        (-4_999, "ok", "within 5 s"),
        (90_000, "warning", "90.0 s ahead of the brokers'"),
        (-7_200_000, "warning", "7200.0 s behind the brokers'"),
    ],
)
def test_a_clock_that_is_far_off_is_warned_of(ahead_ms: int, grade: str, said: str) -> None:
    found = judge_cluster(replace(cluster(), clock_ahead_ms=ahead_ms))[-1]

    assert (found.check, found.grade) == ("clock", grade)
    assert said in found.sentence


def test_what_nodes_say_to_each_other_need_not_be_kept() -> None:
    passing = {"cleanup.policy": "delete", "retention.ms": "600000", "min.insync.replicas": "2"}
    topics = [TopicFacts(name, 1, 3, 3, passing) for name in ("shop.nodes", "shop.requests")]

    assert bad(replace(cluster(), topics=topics)) == []


@pytest.mark.parametrize(
    ("replicas", "in_sync", "unclean", "said"),
    [
        (3, 2, "false", []),
        (1, 1, "false", ["lost with one broker's disk"]),
        (3, 1, "false", ["one broker alone may acknowledge"]),
        (2, 3, "false", ["no commit can ever be acknowledged"]),
        (3, 2, "true", ["drop what was acknowledged"]),
    ],
)
def test_a_store_is_opened_with_a_warning_where_commits_may_be_lost(
    replicas: int, in_sync: int, unclean: str, said: list[str]
) -> None:
    settings = {
        "min.insync.replicas": str(in_sync),
        "unclean.leader.election.enable": unclean,
    }
    found = judge_promise(TopicFacts("shop.transaction", 1, replicas, replicas, settings))

    assert len(found) == len(said)
    assert all(part in one.sentence for part, one in zip(said, found, strict=True))
