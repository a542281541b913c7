"""What a node does when something happens to it, whatever happens in whatever order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.log_store.kafka_role import Act, Event, Role, Standing, decide

ROWS = [
    (Standing(), Event.ALONE, Standing(Role.TAKING), (Act.TAKE,)),
    (Standing(), Event.GIVEN, Standing(Role.TAKING, given=True), (Act.TAKE,)),
    (Standing(), Event.FENCED, Standing(), ()),
    (Standing(Role.TAKING), Event.GIVEN, Standing(Role.TAKING, given=True), ()),
    (Standing(Role.TAKING), Event.TOOK, Standing(Role.WRITER), (Act.SERVE,)),
    (Standing(Role.TAKING), Event.FAILED, Standing(), (Act.FOLLOW,)),
    (Standing(Role.WRITER), Event.GIVEN, Standing(Role.WRITER, given=True), ()),
    (Standing(Role.WRITER), Event.FENCED, Standing(), (Act.YIELD, Act.FOLLOW)),
    (Standing(Role.WRITER), Event.CLOSING, Standing(Role.CLOSED), (Act.YIELD, Act.LEAVE)),
    (Standing(Role.CLOSED), Event.GIVEN, Standing(Role.CLOSED, given=True), ()),
]


@pytest.mark.parametrize(("standing", "event", "after", "acts"), ROWS)
def test_a_node_does_what_the_table_says(
    standing: Standing, event: Event, after: Standing, acts: tuple[Act, ...]
) -> None:
    assert decide(standing, event) == (after, acts)


def test_a_writer_that_another_one_has_fenced_asks_the_group_again() -> None:
    fenced = decide(Standing(Role.WRITER, given=True), Event.FENCED)
    assert fenced == (Standing(), (Act.YIELD, Act.FOLLOW, Act.REJOIN))


def test_a_node_that_cannot_take_over_lets_another_one_try() -> None:
    failed = decide(Standing(Role.TAKING, given=True), Event.FAILED)
    assert failed == (Standing(), (Act.FOLLOW, Act.REJOIN))


def test_what_the_group_takes_away_is_yielded_before_anything_is_followed() -> None:
    withdrawn = decide(Standing(Role.WRITER, given=True), Event.WITHDRAWN)
    assert withdrawn == (Standing(), (Act.YIELD, Act.FOLLOW))


@given(st.lists(st.sampled_from(list(Event)), max_size=40))
def test_acts_pair_up_whatever_happens(events: list[Event]) -> None:
    """Who serves has taken, who yields has served, and nothing comes after the end."""
    standing, taking, serving, left = Standing(), False, False, False
    for event in events:
        standing, acts = decide(standing, event)
        for act in acts:
            assert not left
            if act is Act.TAKE:
                assert not taking and not serving
                taking = True
            elif act is Act.SERVE:
                assert taking
                taking, serving = False, True
            elif act is Act.YIELD:
                assert serving
                serving = False
            elif act is Act.FOLLOW:
                assert not serving
                taking = False
            elif act is Act.LEAVE:
                assert not serving
                left = True
        assert serving == (standing.role is Role.WRITER)
