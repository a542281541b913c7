"""Who is what and how far behind, from what nodes say of themselves."""

import json

import pytest

from headwater.log_store.encoding import EncodingNotKnown
from headwater.log_store.kafka_nodes import (
    MOST_NODES,
    Announcement,
    Directory,
    Heard,
    announcement_record,
    listing,
    read_announcement,
)
from headwater.log_store.kafka_role import Role

SECOND = 1_000_000
WRITER = Announcement("a-1", "alpha", 11, Role.WRITER, True, 5, 3, 120, 90, 7)
REPLICA = Announcement("b-2", "beta", 22, Role.REPLICA, False, 6, 3, 117)


def test_an_announcement_is_read_as_it_was_written() -> None:
    for said in (WRITER, REPLICA):
        assert read_announcement(announcement_record(said)) == said


@pytest.mark.parametrize(
    "change",
    [
        {"node": 7},
        {"node": "x" * 300},
        {"host": "a\nb"},
        {"pid": -1},
        {"epoch": 1 << 70},
        {"sequence": True},
        {"role": "king"},
    ],
)
def test_an_announcement_that_cannot_be_one_is_refused(change: dict[str, object]) -> None:
    told = json.loads(announcement_record(WRITER)) | change
    with pytest.raises(EncodingNotKnown):
        read_announcement(json.dumps(told).encode())


def test_bytes_that_are_no_announcement_are_refused() -> None:
    for value in (b"", b"[]", b"{}", b"\xff\xfe", b'{"node":"' + b"x" * 5000 + b'"}'):
        with pytest.raises(EncodingNotKnown):
            read_announcement(value)


def test_the_writer_comes_first_and_replicas_say_how_far_behind_they_are() -> None:
    found = listing([Heard(REPLICA, SECOND), Heard(WRITER, SECOND)], 2 * SECOND)
    assert [(one.node, one.role, one.position, one.behind) for one in found] == [
        ("a-1", "writer", 120, 0),
        ("b-2", "replica", 117, 3),
    ]


def test_a_replica_that_may_write_is_a_standby() -> None:
    (found,) = listing([Heard(REPLICA._replace(may_write=True), 0)], 0)
    assert found.role == "standby"


def test_a_writer_that_was_followed_by_another_is_shown_as_replaced() -> None:
    heir = WRITER._replace(node="c-3", epoch=4, sequence=130)
    found = listing([Heard(WRITER, 0), Heard(heir, 0)], 0)
    assert [(one.node, one.role) for one in found] == [("c-3", "writer"), ("a-1", "replaced")]


def test_a_node_that_says_nothing_is_silent_and_then_forgotten() -> None:
    heard = [Heard(WRITER, 0)]
    assert not listing(heard, 5 * SECOND)[0].silent
    assert listing(heard, 7 * SECOND)[0].silent
    assert listing(heard, 61 * SECOND) == []


def test_a_node_that_has_closed_is_not_listed() -> None:
    assert listing([Heard(WRITER._replace(role=Role.CLOSED), 0)], 0) == []


def test_a_zombie_that_announces_itself_is_no_news() -> None:
    directory = Directory()
    assert directory.hear(Heard(WRITER, 1))
    heir = WRITER._replace(node="c-3", epoch=4)
    assert directory.hear(Heard(heir, 2))
    assert not directory.hear(Heard(WRITER, 3))
    assert directory.writer == heir


def test_what_is_remembered_of_nodes_is_bounded() -> None:
    directory = Directory()
    for number in range(MOST_NODES + 50):
        directory.hear(Heard(REPLICA._replace(node=f"n{number}"), number))
    assert len(directory.nodes(0)) == MOST_NODES
