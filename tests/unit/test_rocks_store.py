"""The driver's traps, each of which the wrapper must hide."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.log_store.errors import DirectoryInUse, LogDamaged, StoreUnavailable
from headwater.log_store.rocks_store import Store, StoreSettings

SETTINGS = StoreSettings()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "s", SETTINGS) as opened:
        yield opened


def put(store: Store, family: str, pairs: dict[bytes, bytes]) -> None:
    batch = store.batch()
    for key, value in pairs.items():
        batch.put(family, key, value)
    store.write(batch)


def numbered(count: int, size: int = 60) -> dict[bytes, bytes]:
    return {b"%06d" % n: b"%06d" % n + b"v" * size for n in range(count)}


def test_a_batch_lands_in_all_families(store: Store) -> None:
    batch = store.batch()
    batch.put("log", b"k", b"1")
    batch.put("cur", b"k", b"2")
    batch.delete("cur", b"gone")
    store.write(batch)
    store.sync()
    assert (store.get("log", b"k"), store.get("cur", b"k"), store.get("pk", b"k")) == (
        b"1",
        b"2",
        None,
    )
    assert store.get_many("cur", [b"x", b"k"]) == [None, b"2"]


def test_a_scan_keeps_its_bounds_over_several_chunks(store: Store) -> None:
    pairs = numbered(20_000)
    put(store, "log", pairs)
    found = [pair for chunk in store.chunks("log", b"000100", b"019000") for pair in chunk]
    assert found == [(k, v) for k, v in pairs.items() if b"000100" <= k < b"019000"]


def test_a_scan_goes_on_over_values_larger_than_a_chunk(store: Store) -> None:
    pairs = {b"%d" % n: bytes(5 << 20) for n in range(4)}
    put(store, "log", pairs)
    assert [len(chunk) for chunk in store.chunks("log", b"", b"\xff")] == [1, 1, 1, 1]


def test_a_scan_meets_keys_added_behind_it_without_calling_them_damage(store: Store) -> None:
    put(store, "log", numbered(9_000))
    chunks = store.chunks("log", b"", b"\xff")
    first = next(chunks)
    put(store, "log", {b"zzz": b"later"})
    rest = [pair for chunk in chunks for pair in chunk]
    assert len(first) + len(rest) == 9_001 and rest[-1] == (b"zzz", b"later")


def test_the_last_pair_of_a_range_is_found_and_not_one_outside(store: Store) -> None:
    put(store, "versions", {b"a1": b"1", b"a3": b"3", b"c": b"c"})
    assert store.last("versions", b"a", b"a9") == (b"a3", b"3")
    assert store.last("versions", b"b", b"b9") is None
    assert store.last("versions", b"", b"A") is None


def test_a_moment_gives_values_and_scans_of_its_time(store: Store) -> None:
    put(store, "cur", {b"a": b"old", b"b": b"old"})
    moment = store.moment()
    assert [p for c in moment.chunks("cur", b"", b"\xff") for p in c] == [
        (b"a", b"old"),
        (b"b", b"old"),
    ]
    batch = store.batch()
    batch.put("cur", b"a", b"new")
    batch.delete("cur", b"b")
    batch.put("cur", b"c", b"new")
    store.write(batch)
    assert (moment.get("cur", b"a"), moment.get("cur", b"c")) == (b"old", None)
    assert [p for c in moment.chunks("cur", b"", b"\xff") for p in c] == [
        (b"a", b"old"),
        (b"b", b"old"),
    ]
    assert [p for c in store.chunks("cur", b"", b"\xff") for p in c] == [
        (b"a", b"new"),
        (b"c", b"new"),
    ]


def test_a_moments_scan_keeps_its_bounds_and_chunks_after_writes(store: Store) -> None:
    pairs = numbered(20_000)
    put(store, "cur", pairs)
    moment = store.moment()
    put(store, "cur", {key: b"" for key in pairs})
    found = [p for c in moment.chunks("cur", b"000100", b"019000") for p in c]
    assert found == [(k, v) for k, v in pairs.items() if b"000100" <= k < b"019000"]


def test_a_store_closes_under_its_readers_and_opens_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", SETTINGS)
    put(store, "cur", numbered(20_000))
    put(store, "log", numbered(20_000))
    moment, batch = store.moment(), store.batch()
    scan, later = store.chunks("log", b"", b"\xff"), moment.chunks("cur", b"", b"\xff")
    assert next(scan) and next(later)
    moment.drop()
    store.close()
    store.close()
    for read in (lambda: next(scan), lambda: next(later), lambda: moment.get("cur", b"000001")):
        with pytest.raises(StoreUnavailable):
            read()
    with pytest.raises(StoreUnavailable):
        store.get("cur", b"000001")
    with Store(tmp_path / "s", SETTINGS) as again:
        assert again.get("cur", b"000001") is not None
    assert len(batch) == 0


def test_a_second_opener_is_told_that_the_directory_is_in_use(store: Store, tmp_path: Path) -> None:
    with pytest.raises(DirectoryInUse):
        Store(tmp_path / "s", SETTINGS)


def test_a_damaged_block_is_an_error_and_never_the_end_of_a_scan(tmp_path: Path) -> None:
    with Store(tmp_path / "s", SETTINGS) as store:
        put(store, "log", numbered(60_000))
        store.flush()
    file = max((tmp_path / "s").glob("*.sst"), key=lambda f: f.stat().st_size)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    with Store(tmp_path / "s", SETTINGS) as store:
        seen = 0
        with pytest.raises(LogDamaged) as damage:
            for chunk in store.chunks("log", b"", b"\xff"):
                seen += len(chunk)
        assert 0 < seen < 60_000
        assert damage.value.where == file.name


def test_a_checkpoint_is_a_store_of_its_own(store: Store, tmp_path: Path) -> None:
    put(store, "cur", {b"a": b"1"})
    store.checkpoint(tmp_path / "copy")
    put(store, "cur", {b"a": b"2"})
    with Store(tmp_path / "copy", SETTINGS) as copy:
        assert copy.get("cur", b"a") == b"1"
