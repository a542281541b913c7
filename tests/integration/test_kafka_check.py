"""`headwater kafka check` on real brokers: good ones, odd ones, and some that refuse."""

import json
import os
import subprocess
import sys
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import TypedDict, cast

import pytest
from confluent_kafka.admin import AdminClient
from support_kafka import Broker, StartKafka
from support_topics import create_topic

import headwater
from headwater.log_store.kafka_client import Cluster
from headwater.log_store.kafka_fitness import judge_cluster
from headwater.log_store.kafka_probe import look


class Line(TypedDict):
    """A line of the command's output."""

    check: str
    subject: str
    result: str
    why: str


def checked(target: str, *options: str, expect: int, **environment: str) -> list[Line]:
    """What the command prints; it must end with that code."""
    command = [str(Path(sys.executable).with_name("headwater")), "kafka", "check", target]
    ran = subprocess.run(
        [*command, "--format", "json", *options],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert ran.returncode == expect, ran.stderr
    return cast(list[Line], json.loads(ran.stdout))


def wrong(lines: list[Line]) -> dict[str, str]:
    """What is not ok, by check."""
    return {line["check"]: line["why"] for line in lines if line["result"] != "ok"}


def test_a_broker_that_will_do_is_told_so_and_keeps_nothing(kafka: Broker, prefix: str) -> None:
    lines = checked(f"kafka://{kafka.bootstrap}/{prefix}", expect=0)

    tried = next(line["why"] for line in lines if line["check"] == "trial")
    assert tried.startswith("worked: make a topic, begin as a writer, commit")
    assert [line["why"] for line in lines if line["check"] == "clock"] == [
        "within 5 s of the brokers'"
    ]
    assert "error" not in {line["result"] for line in lines}
    topics = AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=30).topics
    assert not [name for name in topics if name.startswith(f"{prefix}.")]


def test_one_broker_is_warned_of_and_strict_refuses_it(
    kafka_cluster: StartKafka, prefix: str
) -> None:
    target = f"kafka://{kafka_cluster().bootstrap}/{prefix}"

    assert set(wrong(checked(target, expect=0))) == {"durability"}
    assert set(wrong(checked(target, "--strict", "--no-trial", expect=5))) == {"durability"}


def test_settings_that_lose_history_are_found(kafka_cluster: StartKafka, prefix: str) -> None:
    overrides = {
        "auto.create.topics.enable": "true",
        "offsets.retention.minutes": "60",
        "message.max.bytes": "100000",
        "transaction.max.timeout.ms": "30000",
        "group.min.session.timeout.ms": "10000",
    }
    cluster = kafka_cluster(overrides=overrides)
    create_topic(cluster.bootstrap, f"{prefix}.public.t", partitions=3)

    facts = look(Cluster(brokers=cluster.bootstrap), prefix, trial=False)
    found = {(one.check, one.grade) for one in judge_cluster(facts) if one.grade != "ok"}

    assert found == {
        ("durability", "warning"),
        ("transactions", "warning"),
        ("sizes", "warning"),
        ("habits", "warning"),
        ("groups", "error"),
        ("prefix", "error"),
    }


def test_three_brokers_will_do(kafka_cluster: StartKafka, prefix: str) -> None:
    cluster = kafka_cluster(nodes=3)

    findings = judge_cluster(look(Cluster(brokers=cluster.bootstrap), prefix))

    assert [one for one in findings if one.grade != "ok"] == []


def test_nobody_there_and_somebody_else_there_are_told_apart(prefix: str) -> None:
    class Page(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(4096)
            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    with ThreadingTCPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        target = f"kafka://127.0.0.1:{server.server_address[1]}/{prefix}"
        lines = checked(target, expect=3)
        server.shutdown()
    nobody = checked(target, expect=3)

    assert "something else than Kafka listens there" in wrong(lines)["reach"]
    assert "nothing listens there" in wrong(nobody)["reach"]


_JAAS = (
    "org.apache.kafka.common.security.plain.PlainLoginModule required "
    'username="broker" password="b" user_broker="b" user_shop="s";'
)
_GUARDED = {
    "listener.security.protocol.map": "PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
    "sasl.enabled.mechanisms": "PLAIN",
    "sasl.mechanism.inter.broker.protocol": "PLAIN",
    "listener.name.plaintext.plain.sasl.jaas.config": _JAAS,
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:broker;User:ANONYMOUS",
}


def _as(user: str, password: str) -> str:
    return json.dumps(
        {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": user,
            "sasl.password": password,
        }
    )


def test_a_user_without_rights_is_told_which_to_ask_for(
    kafka_cluster: StartKafka, prefix: str
) -> None:
    target = f"kafka://{kafka_cluster(overrides=_GUARDED).bootstrap}/{prefix}"

    able = checked(target, expect=0, HEADWATER_KAFKA_OPTIONS=_as("broker", "b"))
    unable = checked(target, expect=5, HEADWATER_KAFKA_OPTIONS=_as("shop", "s"))
    stranger = checked(target, expect=3, HEADWATER_KAFKA_OPTIONS=_as("shop", "wrong"))
    silent = checked(target, expect=3)

    assert set(wrong(able)) == {"durability"}
    assert "allow DESCRIBE_CONFIGS on the cluster" in wrong(unable)["settings"]
    assert "allow this user CREATE" in wrong(unable)["trial"]
    assert f"with the prefix {prefix}." in wrong(unable)["trial"]
    assert "user or password are not accepted" in wrong(stranger)["reach"]
    assert "set security.protocol" in wrong(silent)["reach"]


def test_a_store_that_is_there_is_found_as_it_was_made(
    kafka: Broker, prefix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = f"kafka://{kafka.bootstrap}/{prefix}"
    with headwater.connect(f"{target}?dir={tmp_path / 'replica'}") as db:
        db.create_table("orders", {"order_id": "INT"}, key="order_id")

        lines = checked(target, expect=0)

    found = next(line for line in lines if line["check"] == "prefix")
    assert found["result"] == "ok"
    assert found["why"].endswith("topics are as they were made")
    if kafka.source == "jars":
        assert f"durability of {prefix}: 1 replica," in caplog.text


def test_whoever_promises_less_than_a_broken_disk_is_not_warned(
    kafka: Broker, prefix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = f"kafka://{kafka.bootstrap}/{prefix}?dir={tmp_path / 'replica'}"
    with headwater.connect(target, durability="os"):
        pass

    assert "durability" not in caplog.text
