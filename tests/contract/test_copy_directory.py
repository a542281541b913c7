"""COPY into a directory: a consumer whose effect is files named after windows."""

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from support_clock import Clock
from support_parquet import read_parquet
from support_rebuild import assert_rebuilt

import headwater
from headwater.consumers import copy_files
from headwater.consumers.consume import consume, consume_for
from headwater.consumers.copy_files import CopyDirectory, copy_into
from headwater.consumers.copy_names import StreamWindow, file_name, starts_above, windows_in
from headwater.consumers.errors import (
    ConsumerRefused,
    CopyFailed,
    DirectoryBusy,
    RewindRefused,
    WatermarksDiffer,
)
from headwater.consumers.registration import Directory
from headwater.consumers.row_files import FileFormat, FileOptions
from headwater.consumers.windows import Window
from headwater.log_store import failpoints
from headwater.log_store.errors import WriteConflict
from headwater.log_store.records import INITIAL
from headwater.ops.api import Database
from headwater.ops.api_streams import Stream

PLAIN = FileOptions()


@pytest.fixture(params=["memory", "rocks"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Orders with three versions and a stream that starts after the first."""
    target = "memory:shop" if request.param == "memory" else tmp_path / "shop"
    with headwater.connect(target, clock=Clock(), actor="ann") as opened:
        orders = opened.create_table("orders", {"id": "INT"}, key="id")
        orders.insert({"id": 1})
        opened.create_stream("s", on="orders")
        orders.insert({"id": 2})
        orders.insert([{"id": 3}, {"id": 4}])
        yield opened
        assert_rebuilt(opened)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def files(out: Path) -> dict[str, list[object]]:
    """The ids in each file that a reader of the directory sees."""
    found: dict[str, list[object]] = {}
    for path in sorted(out.glob("[!.]*")):
        found[path.name] = [*read_parquet(path).column("id").to_pylist()]
    return found


def ids(*numbers: int) -> pa.RecordBatchReader:
    table = pa.table({"id": pa.array(numbers, pa.int64())})
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches())


def watermark(stream: Stream, out: Path) -> int:
    (row,) = stream.consumers(str(out))
    return row.watermark


def test_windows_become_files_that_are_named_after_them(db: Database, out: Path) -> None:
    stream = db.stream("s")
    first = stream.copy_into(out, limit_changes=1)
    assert first.path == out / "s_v2-v2.parquet" and first.rows == 1 and first.bytes > 0
    stream.copy_into(out)
    assert files(out) == {"s_v2-v2.parquet": [2], "s_v3-v3.parquet": [3, 4]}
    assert watermark(stream, out) == 3
    (row,) = stream.consumers()
    assert (row.kind, row.consumer) == ("TABLE", str(out))
    assert [(m.why, m.target) for m in stream.history()] == [
        ("register", ""),
        ("consume", str(out)),
        ("consume", str(out)),
    ]


def test_an_empty_window_makes_no_file(db: Database, out: Path) -> None:
    stream = db.stream("s")
    stream.copy_into(out)
    assert stream.copy_into(out).path is None
    assert list(files(out)) == ["s_v2-v3.parquet"]


def test_a_window_without_rows_makes_no_file_and_moves_the_watermark(
    db: Database, out: Path
) -> None:
    stream = db.create_stream("n", on="orders", capture="INSERT ONLY")
    db.table("orders").delete(key=1)
    assert stream.copy_into(out).rows == 0
    assert files(out) == {} and watermark(stream, out) == 4


def test_the_initial_rows_are_a_file_of_their_own(db: Database, out: Path) -> None:
    stream = db.create_stream("i", on="orders", initial_rows=True, at=1)
    stream.copy_into(out)
    stream.copy_into(out)
    assert files(out) == {"i_initial-v1.parquet": [1], "i_v2-v3.parquet": [2, 3, 4]}


def test_each_directory_is_a_consumer_of_its_own(db: Database, tmp_path: Path) -> None:
    stream = db.stream("s")
    for name in ("out", "Out"):
        stream.copy_into(tmp_path / name)
    assert [row.consumer for row in stream.consumers()] == [
        str(tmp_path / "out"),
        str(tmp_path / "Out"),
    ]


def test_a_rollback_leaves_no_file(db: Database, out: Path) -> None:
    with pytest.raises(RuntimeError), db.transaction() as tx:
        used = consume(tx.inner, tx.inner.catalog.stream(db.stream("s").id), Directory(str(out)))
        assert copy_into([used], ids(2), PLAIN).path == out / "s_v2-v3.parquet"
        assert list(files(out)) == ["s_v2-v3.parquet"]
        raise RuntimeError
    assert files(out) == {}


def test_a_statement_that_is_undone_leaves_no_file_behind_the_commit(
    db: Database, out: Path
) -> None:
    with db.transaction() as tx:
        stream = tx.inner.catalog.stream(db.stream("s").id)
        with pytest.raises(RuntimeError), tx.inner.statement():
            copy_into([consume(tx.inner, stream, Directory(str(out)))], ids(2), PLAIN)
            raise RuntimeError
        tx.insert("orders", {"id": 9})
    assert files(out) == {}


def test_a_second_copy_in_one_transaction_is_a_second_file(db: Database, out: Path) -> None:
    with db.transaction() as tx:
        stream = tx.inner.catalog.stream(db.stream("s").id)
        for number in (2, 3):
            used = consume(tx.inner, stream, Directory(str(out)))
            copy_into([used], ids(number), PLAIN)
    assert files(out) == {"s_v2-v3.2.parquet": [3], "s_v2-v3.parquet": [2]}


def test_two_streams_make_one_file_with_both_windows(db: Database, out: Path) -> None:
    db.create_schema("sales")
    db.create_stream("sales.t", on="orders", at=0)
    with db.transaction() as tx:
        used = [
            consume(tx.inner, tx.inner.catalog.stream(db.stream(name).id), Directory(str(out)))
            for name in ("s", "sales.t")
        ]
        copy_into(used, ids(7), PLAIN)
    assert files(out) == {"s_v2-v3+sales%2Et_v1-v3.parquet": [7]}


def test_files_of_a_failed_try_are_removed_and_those_of_others_stay(
    db: Database, out: Path
) -> None:
    stream = db.stream("s")
    stream.copy_into(out, limit_changes=1)
    for name in ("s_v3-v9.parquet", "s_v3-v3.csv", "other_v3-v9.parquet", "notes.txt", ".s.part"):
        (out / name).write_text("left behind")
    stream.copy_into(out)
    left = sorted(path.name for path in out.iterdir())
    assert left == [
        ".headwater-copy",
        "notes.txt",
        "other_v3-v9.parquet",
        "s_v2-v2.parquet",
        "s_v3-v3.parquet",
    ]


def test_after_a_rewind_the_files_above_the_watermark_are_written_anew(
    db: Database, out: Path
) -> None:
    stream = db.stream("s")
    stream.copy_into(out, limit_changes=1)
    stream.copy_into(out)
    plan = stream.rewind(str(out), to=2)
    assert "removes this stream's files there that start above v2" in str(plan)
    plan.execute()
    db.table("orders").insert({"id": 5})
    stream.copy_into(out)
    assert files(out) == {"s_v2-v2.parquet": [2], "s_v3-v4.parquet": [3, 4, 5]}


def test_a_rewind_with_restore_is_refused_by_name(db: Database, out: Path) -> None:
    stream = db.stream("s")
    stream.copy_into(out)
    with pytest.raises(RewindRefused, match=f"{out}: is a directory") as refused:
        stream.rewind(str(out), to=1, restore=True).execute()
    assert refused.value.reason == "NO_TABLE"
    shared = db.create_stream("h", on="orders", sharing="SHARED", at=0)
    shared.copy_into(out)
    with pytest.raises(RewindRefused, match=f"{out}: is a directory that was written"):
        shared.rewind(to=0, restore=True).execute()
    shared.rewind(to=0).execute()


def test_a_directory_moves_only_through_its_own_copy(db: Database, out: Path) -> None:
    stream = db.stream("s")
    stream.copy_into(out)
    with (
        pytest.raises(ConsumerRefused, match="moves only through its own COPY"),
        stream.consumer(str(out)),
    ):
        pass


def test_a_shared_stream_feeds_a_directory_and_parts_into_it(db: Database, out: Path) -> None:
    shared = db.create_stream("h", on="orders", sharing="SHARED", at=0)
    shared.copy_into(out)
    assert list(files(out)) == ["h_v1-v3.parquet"]
    shared.alter(sharing="INDEPENDENT")
    assert [(row.consumer, row.watermark) for row in shared.consumers()] == [(str(out), 3)]
    shared.alter(sharing="SHARED")
    shared.alter(sharing="INDEPENDENT")
    assert [(row.consumer, row.watermark) for row in shared.consumers()] == [(str(out), 3)]


def test_a_directory_and_a_table_that_stand_apart_are_refused_together(
    db: Database, out: Path
) -> None:
    db.stream("s").copy_into(out)
    with db.transaction() as tx, pytest.raises(WatermarksDiffer, match=str(out)):
        stream, orders = tx.inner.catalog.stream(db.stream("s").id), db.table("orders").id
        consume_for(tx.inner, stream, [Directory(str(out)), tx.inner.catalog.table(orders)])


def test_a_second_transaction_waits_outside_and_takes_nothing_away(db: Database, out: Path) -> None:
    stream = db.stream("s")
    with db.transaction() as tx:
        used = consume(tx.inner, tx.inner.catalog.stream(stream.id), Directory(str(out)))
        copy_into([used], ids(2), PLAIN)
        with pytest.raises(DirectoryBusy):
            stream.copy_into(out)
    assert list(files(out)) == ["s_v2-v3.parquet"]


def test_an_old_snapshot_removes_no_file_of_a_later_commit(db: Database, out: Path) -> None:
    stream = db.stream("s")
    with pytest.raises(WriteConflict, match="watermark of directory"), db.transaction() as tx:
        used = consume(tx.inner, tx.inner.catalog.stream(stream.id), Directory(str(out)))
        stream.copy_into(out)
        copy_into([used], ids(2), PLAIN)
    assert files(out) == {"s_v2-v3.parquet": [2, 3, 4]}


def test_a_directory_of_another_store_is_refused(db: Database, out: Path) -> None:
    out.mkdir()
    (out / copy_files.LOCK).write_text("elsewhere\n")
    with pytest.raises(CopyFailed, match="store elsewhere copies into it"):
        db.stream("s").copy_into(out)
    with pytest.raises(CopyFailed, match="store elsewhere copies into it"):
        db.stream("s").copy_into(out)


def test_what_cannot_be_written_consumes_nothing(db: Database, out: Path) -> None:
    stream = db.stream("s")
    (out.parent / "file").write_text("")
    with pytest.raises(CopyFailed, match="nothing was copied into"):
        stream.copy_into(out.parent / "file")
    for point in ("copy.cleared", "copy.written"):
        failpoints.arm(f"{point}=enospc")
        try:
            with pytest.raises(CopyFailed, match="Errno 28"):
                stream.copy_into(out)
        finally:
            failpoints.arm("")
        assert [path.name for path in out.iterdir()] == [copy_files.LOCK]
    assert stream.consumers() == []
    rows = pa.table({"l": pa.array([[1]])})
    inner = db.session.begin()
    used = consume(inner, inner.catalog.stream(stream.id), Directory(str(out)))
    reader = pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches())
    with pytest.raises(CopyFailed):
        copy_into([used], reader, FileOptions(format=FileFormat.CSV))
    inner.rollback()


def test_the_lock_is_given_back_however_it_ends(db: Database, out: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(3):
        with pytest.raises(RuntimeError), db.transaction() as tx:
            tx.inner.hold("copy", lambda: CopyDirectory(tx.inner, out))
            with pytest.raises(DirectoryBusy):
                CopyDirectory(tx.inner, out)
            raise RuntimeError
    if before:
        assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("stream", ["s", "My Stream", "a.b", "a+b_v1-v2", "über~x", "100%"])
@pytest.mark.parametrize("window", [Window(100, 150), Window(INITIAL, 7), Window(0, 1)])
def test_a_files_name_says_which_windows_are_in_it(stream: str, window: Window) -> None:
    parts = [StreamWindow(stream, window), StreamWindow("t", Window(3, 4))]
    for number in (1, 2):
        for ending in ("parquet", "csv.gz"):
            name = file_name(parts, ending, number)
            assert windows_in(name) == parts
            assert name.isascii() and "/" not in name


def test_a_file_starts_above_a_watermark_by_its_first_version() -> None:
    assert file_name([StreamWindow("s", Window(100, 150))], "parquet") == "s_v101-v150.parquet"
    assert starts_above("s_v101-v150.parquet", "s", 100)
    assert not starts_above("s_v101-v150.parquet", "s", 101)
    assert not starts_above("s_v101-v150.parquet", "S", 100)
    assert starts_above("s_initial-v7.parquet", "s", INITIAL)
    assert not starts_above("s_initial-v7.parquet", "s", 0)
    # An empty window of a second stream is no reason to remove what the first one gave.
    assert not starts_above("s_v1-v3+t_v9-v8.parquet", "t", 8)
    for name in ("s.parquet", "s_v1.parquet", "s_v1-v2", ".s_v1-v2.parquet", "s_v1-v2.PARQUET~"):
        assert windows_in(name) == []
