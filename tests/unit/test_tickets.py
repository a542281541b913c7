"""How those who wait for a group commit are woken: one after the other, whoever has gone."""

import os
import threading

import pytest

from headwater.log_store import rocks_commit
from headwater.log_store.port import Batch
from headwater.log_store.rocks_commit import Ticket, answer
from headwater.producer.commit_ids import new_commit_id


def waiting() -> Ticket:
    """A ticket whose owner is about to wait."""
    ticket = Ticket(Batch(commit_id="x"))
    ticket.done = threading.Lock()
    ticket.done.acquire()
    return ticket


def test_each_who_is_woken_wakes_the_next() -> None:
    first, second, third = tickets = [waiting() for _ in range(3)]
    answer(tickets)

    assert [ticket.told for ticket in tickets] == [True, False, False]
    first.wait()
    assert [ticket.told for ticket in tickets] == [True, True, False]
    second.wait()
    assert third.told


def test_all_of_a_group_come_back() -> None:
    tickets = [waiting() for _ in range(40)]
    threads = [threading.Thread(target=ticket.wait) for ticket in tickets]
    for thread in threads:
        thread.start()
    answer(tickets)
    for thread in threads:
        thread.join(timeout=20)

    assert not any(thread.is_alive() for thread in threads)


def test_one_who_gave_up_waiting_is_passed_over() -> None:
    first, gone, last = tickets = [waiting() for _ in range(3)]
    gone.left = True
    answer(tickets)
    first.wait()

    assert last.told


def test_one_interrupted_when_the_answer_is_there_still_wakes_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Interrupting:
        def acquire(self, *, timeout: float) -> bool:
            raise KeyboardInterrupt

        def release(self) -> None:
            pass

    interrupted, last = tickets = [waiting() for _ in range(2)]
    answer(tickets)
    monkeypatch.setattr(interrupted, "done", Interrupting())
    with pytest.raises(KeyboardInterrupt):
        interrupted.wait()

    assert last.told


def test_one_whom_nobody_wakes_looks_for_the_answer_himself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rocks_commit, "WAKE_S", 0.001)
    forgotten = waiting()
    forgotten.answered = True
    forgotten.wait()

    assert not forgotten.told


def test_who_was_answered_before_is_not_put_into_line_again() -> None:
    early, late = waiting(), waiting()
    answer([early])
    answer([early, late])

    assert early.after is None
    assert late.told


def test_a_forked_process_draws_other_commit_ids() -> None:
    new_commit_id()  # whatever is drawn ahead is there
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, ",".join(new_commit_id() for _ in range(80)).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        theirs = pipe.read().decode().split(",")
    os.waitpid(child, 0)
    ours = [new_commit_id() for _ in range(80)]

    assert len({*ours, *theirs}) == 160
    assert {len(one) for one in ours} == {24}
