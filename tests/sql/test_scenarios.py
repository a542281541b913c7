"""Every scenario, on each store: what a session types, and what it must see."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support_clock import Clock
from support_kafka import Broker
from support_scenarios import Step, differences, steps

import headwater
from headwater.ops.api import Database

SCENARIOS = sorted((Path(__file__).parent / "scenarios").rglob("*.sql"))


@pytest.fixture(params=["memory", "rocks", pytest.param("kafka", marks=pytest.mark.broker)])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Database]]:
    """Opens the store, named shop; again, to go on where a restart left off."""
    clock = Clock()
    target = "memory:shop"
    if request.param == "rocks":
        target = str(tmp_path / "shop")
    elif request.param == "kafka":
        broker: Broker = request.getfixturevalue("kafka")
        target = f"kafka://{broker.bootstrap}/{request.getfixturevalue('prefix')}?dir={tmp_path}"
    kept: list[Database] = []

    def connect() -> Database:
        if request.param == "memory" and kept:
            return kept[0]
        if kept:
            kept.pop().close()
        kept.append(headwater.connect(target, actor="tester", clock=clock))
        return kept[0]

    yield connect
    for one in kept:
        one.close()


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_session_sees_what_its_scenario_says(path: Path, opened: Callable[[], Database]) -> None:
    db = opened()
    for step in steps(path):
        if not step.sql:
            db = opened()
            continue
        where = f"{path.name}:{step.line}\n{step.sql}"
        wrong = _run(db, step)
        assert not wrong, f"{where}\n{wrong}"


def _run(db: Database, step: Step) -> str:
    """Run one step; what is wrong with its answer, empty if nothing is."""
    cursor = db.cursor()
    try:
        cursor.execute(step.sql)
    except headwater.Error as error:
        if step.error is None:
            return f"failed: {error.code}: {error}"
        code, _, words = step.error.partition(":")
        if error.code != code or words.strip() not in str(error):
            return f"failed otherwise: {error.code}: {error}"
        return ""
    if step.error is not None:
        return f"did not fail, expected {step.error}"
    if step.count is not None and cursor.rowcount != step.count:
        return f"{cursor.rowcount} rows, expected {step.count}"
    if step.notice is not None and not any(step.notice in told for told in cursor.notices):
        return f"notices {cursor.notices}, expected {step.notice}"
    names = [column[0] for column in cursor.description or ()]
    return differences(step, names, cursor.fetchall())
