"""The directory's lock: one owner, who notices a taker."""

from pathlib import Path

import pytest

from headwater.log_store.errors import DirectoryInUse, Fenced, FormatNotKnown
from headwater.log_store.lock import NAME, DirectoryLock, read_owner


def test_a_second_owner_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    lock.take(7)
    with pytest.raises(DirectoryInUse, match=r"process \d+ on"):
        DirectoryLock(tmp_path)
    lock.check()
    lock.release()
    lock.release()


def test_a_released_directory_can_be_taken_and_knows_its_last_epoch(tmp_path: Path) -> None:
    first = DirectoryLock(tmp_path)
    first.take(7)
    first.release()
    second = DirectoryLock(tmp_path)
    assert second.epoch == 7
    second.take(8)
    owner = read_owner(tmp_path)
    assert owner is not None and owner.epoch == 8
    second.release()


def test_an_owner_whose_file_was_deleted_fences_itself(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    lock.take(1)
    (tmp_path / NAME).unlink()
    with pytest.raises(Fenced):
        lock.check()
    lock.release()


def test_an_owner_fences_itself_once_a_taker_has_written_its_epoch(tmp_path: Path) -> None:
    old = DirectoryLock(tmp_path)
    old.take(1)
    (tmp_path / NAME).unlink()
    new = DirectoryLock(tmp_path)
    new.take(2)
    with pytest.raises(Fenced) as fenced:
        old.check()
    assert (fenced.value.epoch, fenced.value.found) == (1, 2)
    new.check()
    old.release()
    new.release()


def test_an_epoch_written_over_ours_fences_us(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    lock.take(1)
    text = (tmp_path / NAME).read_bytes()
    with (tmp_path / NAME).open("r+b") as file:
        file.write(text.replace(b"%020d" % 1, b"%020d" % 2, 1))
    with pytest.raises(Fenced):
        lock.check()
    lock.release()


def test_a_file_that_is_no_owner_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("something else\n")
    with pytest.raises(FormatNotKnown):
        DirectoryLock(tmp_path)
    assert (tmp_path / NAME).read_text() == "something else\n"
