"""docker-compose.yml on a real daemon: it becomes healthy, and what the README says first works."""

import json
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support_docker import without_docker
from support_topics import committed

import headwater
from examples.broker.compose import ROOT, Compose, NoCompose

pytestmark = pytest.mark.docker

README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", README, re.DOTALL)
SQL = re.findall(r"```sql\n(.*?)```\n\n```text\n(.*?)```", README, re.DOTALL)
ON_KAFKA = README.split("## On Kafka\n\n```console\n")[1].split("```")[0]
THREE = ("docker-compose.yml", "docker-compose.three.yml")


def composed(*files: str) -> Iterator[Compose]:
    """The services, up and healthy."""
    with ExitStack() as held:
        try:
            compose = held.enter_context(Compose(*files))
        except NoCompose as error:
            without_docker(str(error))
        yield compose


@pytest.fixture(scope="module")
def one() -> Iterator[Compose]:
    """The file as it stands: one broker."""
    yield from composed("docker-compose.yml")


def test_every_service_is_healthy_and_listens_on_the_loopback_alone(one: Compose) -> None:
    published = subprocess.run(
        ["docker", "port", one.container("kafka")], check=True, capture_output=True, text=True
    ).stdout

    assert one.health() == dict.fromkeys(("kafka", "registry", "headwater"), "healthy")
    assert published.split(" -> ")[1].strip() == f"127.0.0.1:{one.ports['KAFKA_PORT']}"


def test_the_cluster_is_checked_from_inside_and_only_its_one_disk_is_warned_of(
    one: Compose,
) -> None:
    command = ("headwater", "kafka", "check", "kafka://kafka:9095/shop", "--format", "json")
    lines = json.loads(one.run("exec", "-T", "headwater", *command))

    assert {line["check"] for line in lines if line["result"] != "ok"} == {"durability"}


def test_commands_inside_need_not_name_the_store(one: Compose) -> None:
    inside = ("exec", "-T", "headwater", "headwater")
    one.run(*inside, "sql", "-c", "CREATE TABLE here (a INT PRIMARY KEY)")
    one.run(*inside, "sql", "-c", "INSERT INTO here VALUES (1)")

    assert len(committed(f"127.0.0.1:{one.ports['KAFKA_PORT']}", "shop.public.here")) == 1


def test_what_the_readme_says_first_works_word_for_word(one: Compose, tmp_path: Path) -> None:
    brokers = f"127.0.0.1:{one.ports['KAFKA_PORT']}"
    up, check, shell = (line[2:].split("  ")[0] for line in ON_KAFKA.splitlines())
    assert up == "docker compose up --detach"
    command = str(Path(sys.executable).with_name("headwater"))

    def run(line: str, given: str = "") -> str:
        program, *words = shlex.split(line.replace("127.0.0.1:9092", brokers))
        assert program == "headwater"
        done = subprocess.run(
            [command, *words],
            check=False,
            capture_output=True,
            text=True,
            input=given,
            cwd=tmp_path,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "worked: make a topic" in run(check)
    # The shell wants a terminal: the same lines through a pipe.
    typed = shell.removesuffix(" shell") + " sql -"
    assert typed != shell and len(SQL) >= 3
    for text, shown in SQL:
        assert run(typed, text) == shown
    # Three inserts, an update, a delete with its tombstone, one more insert: they stand in the topic.
    assert len(committed(brokers, "tour.public.orders")) == 7


def test_the_tour_in_python_prints_on_kafka_what_it_prints_in_a_directory(
    one: Compose, tmp_path: Path
) -> None:
    bootstrap = f"127.0.0.1:{one.ports['KAFKA_PORT']}"
    there = f'"kafka://{bootstrap}/shop?dir=replica"'
    code = "".join(block for block, _ in PYTHON)
    assert code.count('connect("shop")') == 1
    done = subprocess.run(
        [sys.executable, "-c", code.replace('"shop")', f"{there})")],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join(shown for _, shown in PYTHON)
    # The topic holds what any reader sees: three inserts, three updates, a delete and its tombstone.
    values = committed(bootstrap, "shop.public.orders")
    assert (len(values), values.count(None)) == (7, 1)


def test_the_registry_answers_as_confluents_does(one: Compose) -> None:
    url = f"http://127.0.0.1:{one.ports['REGISTRY_PORT']}/apis/ccompat/v7/subjects"
    schema = json.dumps({"schema": '{"type": "string"}'}).encode()
    register = urllib.request.Request(
        f"{url}/t-value/versions",
        data=schema,
        headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
    )
    with urllib.request.urlopen(register, timeout=30) as answer:
        given = json.load(answer)
    with urllib.request.urlopen(url, timeout=30) as answer:
        subjects = json.load(answer)

    assert given["id"] > 0
    assert "t-value" in subjects


def test_three_brokers_keep_all_when_one_is_killed(tmp_path: Path) -> None:
    for three in composed(*THREE):
        ports = [three.ports[name] for name in ("KAFKA_PORT", "KAFKA2_PORT", "KAFKA3_PORT")]
        brokers = ",".join(f"127.0.0.1:{port}" for port in ports)
        # What the service looked at before it was healthy.
        assert "warning" not in three.run("logs", "headwater")
        with headwater.connect(f"kafka://{brokers}/shop?dir={tmp_path / 'one'}") as db:
            orders = db.create_table("orders", {"order_id": "INT"}, key="order_id")
            orders.insert([(1,), (2,)])
            subprocess.run(["docker", "kill", three.container("kafka2")], check=True)
            orders.insert([(3,)])
        with headwater.connect(f"kafka://{brokers}/shop?dir={tmp_path / 'two'}") as db:
            rows = {row["order_id"] for row in db.table("orders").rows()}

        assert rows == {1, 2, 3}
