"""Bytes that go bad under the embedded log: refused by file, and the files left as they were."""

import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support_log import insert, write
from support_rocks import contents, killed_store, load, opened, options, start_writer, table_of

from headwater.log_store.errors import DirectoryInUse, LogDamaged, LogError
from headwater.log_store.head_marker import NAME as HEAD
from headwater.log_store.head_marker import read_marker
from headwater.log_store.lock import NAME as OWNER
from headwater.log_store.rocks import RocksLog
from headwater.log_store.rocks_readonly import open_read_only

ROWS = 60


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose process ended without closing it, all of it in the write-ahead log."""
    path = tmp_path_factory.mktemp("killed") / "shop"
    assert killed_store(path, ROWS) == ROWS + 1
    return path


@pytest.fixture
def path(killed: Path, tmp_path: Path) -> Path:
    """A copy of that store to break."""
    copy = tmp_path / "shop"
    shutil.copytree(killed, copy)
    return copy


def wal(path: Path) -> Path:
    return max((path / "store").glob("*.log"), key=lambda file: file.stat().st_size)


def change(file: Path, at: int, how: Callable[[int], int]) -> None:
    data = bytearray(file.read_bytes())
    data[at] = how(data[at])
    file.write_bytes(data)


def hashes(path: Path) -> dict[str, str]:
    """Digests of what RocksDB keeps its data in."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in (path / "store").iterdir()
        if file.name != "LOCK" and not file.name.startswith("LOG")
    }


def test_a_killed_store_has_everything_that_was_acknowledged(path: Path) -> None:
    marker = read_marker(path)
    assert marker is not None and (marker.sequence, marker.synced) == (ROWS + 1, True)
    with opened(path) as log, log.view() as view:
        assert (view.sequence, len(contents(view, table_of(log)))) == (ROWS + 1, ROWS)
        assert log.verify() == ROWS + 1
    assert not (path / "undo").exists()


@pytest.mark.parametrize("part", [0.2, 0.5, 0.95])
def test_a_flipped_byte_in_the_write_ahead_log_is_refused_by_file_and_position(
    path: Path, part: float
) -> None:
    file = wal(path)
    at = int(len(file.read_bytes()) * part)
    change(file, at, lambda byte: byte ^ 0x10)
    before = hashes(path)
    for _ in range(2):
        with pytest.raises(LogDamaged, match=rf"{file.name} at byte \d+") as damage:
            RocksLog(options(path))
        named = int(damage.value.where.split()[-1])
        assert named <= at < named + 5000
        assert hashes(path) == before
    with pytest.raises(LogDamaged):
        open_read_only(path).view()


def test_a_mended_log_opens_again(path: Path) -> None:
    file = wal(path)
    change(file, 5000, lambda byte: byte ^ 0x10)
    with pytest.raises(LogDamaged):
        RocksLog(options(path))
    change(file, 5000, lambda byte: byte ^ 0x10)
    with opened(path) as log, log.view() as view:
        assert view.sequence == ROWS + 1


def test_a_cut_log_is_refused_unless_the_cut_part_was_never_acknowledged(path: Path) -> None:
    file = wal(path)
    whole = file.read_bytes()
    marker = (path / HEAD).read_bytes()
    for cut in range(1, 200, 13):
        file.write_bytes(whole[:-cut])
        with pytest.raises(LogDamaged, match=f"acknowledged were {ROWS + 1}"):
            RocksLog(options(path))
        assert file.read_bytes() == whole[:-cut]
    # Without a marker, as after a power cut that took it, the log's own tail counts.
    (path / HEAD).unlink()
    with opened(path) as log, log.view() as view:
        assert ROWS - 5 <= view.sequence <= ROWS
        assert log.verify() == view.sequence
    assert len((path / HEAD).read_bytes()) == len(marker)


def test_a_tail_of_zeros_or_of_half_a_record_is_no_damage(path: Path) -> None:
    file = wal(path)
    whole = file.read_bytes()
    for number, tail in enumerate((bytes(4096), whole[:50], bytes(6), b"\1\2\3\4\5\0\1half")):
        copy = path.parent / f"copy{number}"
        shutil.copytree(path, copy)
        wal(copy).write_bytes(whole + tail)
        with opened(copy) as log, log.view() as view:
            assert view.sequence == ROWS + 1


@pytest.mark.parametrize("kind", [5, 6, 7, 8, 11])
def test_a_record_at_which_rocksdb_would_hang_is_refused_by_position(path: Path, kind: int) -> None:
    file = wal(path)
    whole = file.read_bytes()
    first = 7 + int.from_bytes(whole[4:6], "little")
    for at, data in ((first, whole), (len(whole), whole + bytes(200))):
        broken = bytearray(data)
        broken[at + 6] = kind
        file.write_bytes(broken)
        with pytest.raises(LogDamaged, match=rf"{file.name} at byte {at}:"):
            RocksLog(options(path))
        with pytest.raises(LogDamaged, match=rf"{file.name} at byte {at}:"):
            open_read_only(path)


def test_a_marker_that_was_torn_is_as_good_as_none(path: Path) -> None:
    change(path / HEAD, 12, lambda byte: byte ^ 1)
    with opened(path) as log, log.view() as view:
        assert view.sequence == ROWS + 1


def test_a_log_of_another_history_is_refused_by_its_digest(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    killed_store(other, ROWS + 3)
    shutil.rmtree(path / "store")
    shutil.copytree(other / "store", path / "store")
    with pytest.raises(LogDamaged, match="not the one that was acknowledged"):
        RocksLog(options(path))


def test_a_store_whose_files_are_gone_is_not_begun_anew(path: Path) -> None:
    shutil.rmtree(path / "store")
    with pytest.raises(LogDamaged, match="missing"):
        RocksLog(options(path))
    assert not (path / "store").exists()


@pytest.mark.parametrize("name", ["CURRENT", "MANIFEST-*"])
def test_a_missing_file_of_rocksdb_is_named(path: Path, name: str) -> None:
    (file,) = (path / "store").glob(name)
    file.unlink()
    with pytest.raises(LogDamaged) as damage:
        RocksLog(options(path))
    assert name.split("-")[0] in str(damage.value)


def test_a_damaged_manifest_is_refused_by_name(path: Path) -> None:
    (file,) = (path / "store").glob("MANIFEST-*")
    change(file, file.stat().st_size // 2, lambda byte: byte ^ 0xFF)
    before = hashes(path)
    with pytest.raises(LogDamaged, match=r"MANIFEST-\d+"):
        RocksLog(options(path))
    assert hashes(path) == before


def test_a_damaged_table_file_is_named_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "shop"
    with opened(path, write_buffer=1 << 20) as log:
        table = table_of(log)
        for first in range(1, 40_000, 10_000):
            load(log, table, first, 10_000)
        log._store.flush()  # pyright: ignore[reportPrivateUsage]
        head = log.view().sequence
    large = [f for f in sorted((path / "store").glob("*.sst")) if f.stat().st_size > 20_000]
    assert len(large) >= 2
    for file in large:
        copy = tmp_path / file.stem
        shutil.copytree(path, copy)
        change(copy / "store" / file.name, file.stat().st_size // 3, lambda byte: byte ^ 0x40)
        with pytest.raises(LogDamaged) as damage, opened(copy) as log:
            log.verify()
            log.verify_derived()
        assert file.name in damage.value.where
    with opened(path) as log:
        assert log.verify() == head
        assert log.verify_derived() == []


def test_events_that_were_exchanged_for_others_fail_their_digest(path: Path) -> None:
    with opened(path) as log:
        table = table_of(log)
        store = log._store  # pyright: ignore[reportPrivateUsage]
        pairs = [pair for chunk in store.chunks("log", b"", b"\xff") for pair in chunk]
        swapped = store.batch()
        swapped.put("log", pairs[9][0], pairs[8][1])
        store.write(swapped)
        with pytest.raises(LogDamaged, match=f"version 10 of table {table.id}"):
            log.verify()


def test_a_commit_that_was_altered_fails_its_digest(path: Path) -> None:
    with opened(path) as log:
        store = log._store  # pyright: ignore[reportPrivateUsage]
        pairs = [pair for chunk in store.chunks("commits", b"\0", b"\1") for pair in chunk]
        key, value = pairs[20]
        altered = store.batch()
        altered.put("commits", key, value.replace(b"\0\0\0\x20", b"\0\0\0\x20", 1)[:-1] + b"x")
        store.write(altered)
        with pytest.raises(LogDamaged, match="commit 21"):
            log.verify()


def test_the_end_of_the_log_is_verified_at_each_open(path: Path) -> None:
    with opened(path) as log:
        table = table_of(log)
        for number in range(ROWS + 1, ROWS + 4):
            write(log, table, insert(table, number, (number, "x")))
        store = log._store  # pyright: ignore[reportPrivateUsage]
        pairs = [pair for chunk in store.chunks("log", b"", b"\xff") for pair in chunk]
        damaged = store.batch()
        damaged.put("log", pairs[-1][0], pairs[-1][1][:-1] + b"?")
        store.write(damaged)
        store.sync()
    with pytest.raises(LogDamaged, match=f"version {ROWS + 3}"):
        RocksLog(options(path))


def test_a_second_process_is_refused_and_told_who_has_the_directory(tmp_path: Path) -> None:
    path = tmp_path / "shop"
    with start_writer(path, 1, stay=True) as first:
        wait_until_done(first)
        with pytest.raises(DirectoryInUse) as refused:
            RocksLog(options(path))
        assert refused.value.pid == first.pid
        first.send_signal(signal.SIGSTOP)
        with pytest.raises(DirectoryInUse):
            RocksLog(options(path))
        first.kill()
    with opened(path) as log, log.view() as view:
        assert view.sequence == 2


def test_an_owner_whose_lock_files_were_deleted_acknowledges_nothing_more(tmp_path: Path) -> None:
    path = tmp_path / "shop"
    log = RocksLog(options(path))
    table = table_of(log)
    write(log, table, insert(table, 1, (1, "a")))
    (path / OWNER).unlink()
    (path / "store" / "LOCK").unlink()
    with start_writer(path, 3, stay=True) as second:
        said = wait_until_done(second)
        with pytest.raises(LogError):
            write(log, table, insert(table, 2, (2, "old owner")))
        second.kill()
    log.close()
    # Writing is for another process: in this one the driver still knows the old files as open.
    with open_read_only(path) as reader, reader.view() as view:
        assert view.sequence == int(said[-1]) == 5
        assert reader.verify() == 5 and reader.verify_derived() == []


def wait_until_done(writer: subprocess.Popen[str]) -> list[str]:
    said: list[str] = []
    assert writer.stdout is not None
    for line in writer.stdout:
        if line.strip() == "done":
            return said
        said.append(line.strip())
    raise AssertionError(f"the writer ended after {said}")


@pytest.mark.parametrize(
    "point",
    ["commit.before_append", "commit.after_append", "commit.after_sync", "commit.after_publish"],
)
def test_a_process_killed_at_a_point_of_a_commit_loses_nothing_it_was_told(
    tmp_path: Path, point: str
) -> None:
    path = tmp_path / "shop"
    told = killed_store(path, 10, points=f"{point}=kill@5")
    assert told == 4
    with opened(path) as log, log.view() as view:
        assert view.sequence == (4 if point == "commit.before_append" else 5)
        assert log.verify_derived() == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes wherever it likes")
def test_a_directory_that_cannot_be_written_is_refused(path: Path) -> None:
    path.chmod(0o500)
    try:
        with pytest.raises(OSError, match="Permission"):
            RocksLog(options(path))
    finally:
        path.chmod(0o700)
