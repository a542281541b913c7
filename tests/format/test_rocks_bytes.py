"""Golden bytes of the embedded store, format 1. Red means "write format 2", not "change the test"."""

import shutil
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from support_clock import Clock
from support_rocks import contents

from headwater.log_store import rocks_keys as keys
from headwater.log_store.base import (
    NO_ROWS,
    Anchor,
    BaseDigest,
    Written,
    base_of,
    blocks_of,
    decode_anchor,
    encode_anchor,
    moved_on,
    rows_in,
)
from headwater.log_store.catalog import Namespace, Setting
from headwater.log_store.catalog_json import encode_object
from headwater.log_store.changes import Columns
from headwater.log_store.encoding import (
    EncodingNotKnown,
    chain_commit,
    encode_audit,
    encode_commit,
    encode_one,
    encode_run,
    encode_version,
    encode_watermark,
    stamp,
    stored_prefix,
)
from headwater.log_store.head_marker import HeadMarker, read_marker
from headwater.log_store.lock import DirectoryLock
from headwater.log_store.records import (
    OP_UPDATE,
    AuditRow,
    CommitRow,
    Counts,
    Idempotency,
    Move,
    Moved,
    ScanBlock,
    Stored,
    VersionRow,
    Watermark,
)
from headwater.log_store.rocks import RocksLog, RocksOptions
from headwater.log_store.rocks_readonly import open_read_only
from headwater.log_store.rocks_rebuild import dump
from headwater.schemas.images import codec

GOLDEN = Path(__file__).parent / "golden_v1"


def test_keys() -> None:
    assert {
        "chunk": keys.chunk_key(7, 258, 3).hex(" "),
        "version": keys.version_key(7, 258).hex(" "),
        "row": keys.row_key(7, 258).hex(" "),
        "rows": keys.row_keys(7, np.array([1, 258], np.int64))[1].hex(" "),
        "commit": keys.commit_key(258).hex(" "),
        "commit id": keys.commit_id_key("ab").hex(" "),
        "idempotency": keys.idempotency_key("ab").hex(" "),
        "mark": keys.mark_key(7).hex(" "),
        "move": keys.move_key(7, 258).hex(" "),
        "ordinal": keys.ordinal_key(258, 3).hex(" "),
        "snapshot chunk": keys.snap_chunk_key(7, 258, 3).hex(" "),
        "snapshot list": keys.snap_list_key(7, 258).hex(" "),
        "snapshot pending": keys.snap_pending_key(7, 258).hex(" "),
    } == {
        "chunk": "00 00 00 07 00 00 00 00 00 00 01 02 00 00 00 03",
        "version": "00 00 00 07 00 00 00 00 00 00 01 02",
        "row": "00 00 00 07 00 00 00 00 00 00 01 02",
        "rows": "00 00 00 07 00 00 00 00 00 00 01 02",
        "commit": "00 00 00 00 00 00 00 01 02",
        "commit id": "01 61 62",
        "idempotency": "02 61 62",
        "mark": "00 00 00 00 07",
        "move": "01 00 00 00 07 00 00 00 00 00 00 01 02",
        "ordinal": "00 00 00 00 00 00 01 02 00 00 00 03",
        "snapshot chunk": "00 00 00 00 07 00 00 00 00 00 00 01 02 00 00 00 03",
        "snapshot list": "01 00 00 00 07 00 00 00 00 00 00 01 02",
        "snapshot pending": "02 00 00 00 07 00 00 00 00 00 00 01 02",
    }


def test_a_version_row() -> None:
    row = VersionRow(7, 258, 3, 4, Counts(5, 6, 7, 8), 9, 10, 11, bytes(range(32)), ((1, -2),), 12)
    assert encode_version(row).hex() == (
        "01" + "0000000000000003" + "0000000000000004" + "0000000000000005" + "0000000000000006"
        "0000000000000007" + "0000000000000008" + "0000000000000009" + "000000000000000a"
        "0000000b" + "0000000c" + bytes(range(32)).hex() + "0001" + "00000001" + "fffffffffffffffe"
    )


def test_a_commit() -> None:
    move = Move(5, None, -1, "register", 6, (7,), "r", {"n": 1})
    row = CommitRow(
        258, "id", 4, "me", {7: 8}, (Moved(move, 9),), ("s",), Idempotency("k", b"d"), "{}", 2, 3
    )
    value = encode_commit(row, {7: ((1, 2),)})
    assert value.hex() == (
        "01" + "0000000000000004" + "00000003" + "00000002" + "0001" + "0001" + "0001" + "01"
        "00000002"
        + b"id".hex()
        + "00000002"
        + b"me".hex()
        + "00000002"
        + b"{}".hex()
        + "00000007"
        + "0000000000000008"
        + "0001"
        + "00000001"
        + "0000000000000002"
        + "00000001"
        + b"s".hex()
        + "00000001"
        + b"k".hex()
        + "00000001"
        + b"d".hex()
        + "00000005"
        + "00"
        + "0e"
        + "0000000000000000"
        + "ffffffffffffffff"
        + "00000006"
        + "0000000000000009"
        + "0001"
        + "00000007"
        + "00000001"
        + b"r".hex()
        + "00000007"
        + b'{"n":1}'.hex()
    )
    assert chain_commit(bytes(32), 258, value, [b"x"]).hex() == (
        "2f9f7d02a3f59a106c148ce2001b4ba9d654917a563581828e5eefeae2883ad1"
    )


def test_watermarks_audit_events_and_rows() -> None:
    assert encode_watermark(Watermark(7, -1, 2, 3, 4)).hex() == (
        "01"
        + "ffffffffffffffff"
        + "0000000000000002"
        + "0000000000000003"
        + "01"
        + "0000000000000004"
    )
    assert encode_audit(AuditRow(1, 2, "me", "w", "{}")).hex() == (
        "01" + "0000000000000002" + "000000026d65" + "0000000177" + "000000027b7d"
    )
    assert stamp(2, "{}").hex() == "01" + "0000000000000002" + "7b7d"
    assert stored_prefix(258, 7).hex() == "0000000000000102" + "00000007"


def test_chunks_of_the_log() -> None:
    assert encode_one(7, b"ab").hex(" ") == "01 00 00 00 07 61 62"
    offsets = np.array([1, 3, 4], np.int64)
    assert encode_run(7, offsets, b"?abc?").hex(" ") == (
        "02 00 00 00 07 00 00 00 02 02 00 00 00 01 00 00 00 61 62 63"
    )


def test_catalog_objects() -> None:
    assert encode_object(Namespace(id=2, name="é")) == (
        '{"changed_at":0,"dropped_at":null,"id":2,"kind":"schema","name":"é"}'
    )
    assert encode_object(Setting(id=3, name="a", value="b", changed_at=4)) == (
        '{"changed_at":4,"id":3,"kind":"setting","name":"a","value":"b"}'
    )


def test_the_owner_file_and_the_head_marker(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    lock.take(12)
    lines = (tmp_path / "OWNER").read_bytes().split(b"\n")
    assert lines[:2] == [b"headwater-owner 1", b"00000000000000000012"]
    assert len(lines[2]) == 20 and lines[4:] == [b""]
    lock.release()
    marker = HeadMarker(tmp_path, 12, synced=True)
    marker.write(258, 3, bytes(range(32)))
    marker.close()
    raw = (tmp_path / "HEAD").read_bytes()
    assert raw[:65].hex() == (
        b"HWHEAD1\n".hex()
        + "0000000000000102"
        + "0000000000000003"
        + "000000000000000c"
        + "01"
        + bytes(range(32)).hex()
    )
    assert len(raw) == 65 + 36 + 4
    found = read_marker(tmp_path)
    assert found is not None and (found.sequence, found.epoch, found.synced) == (258, 12, True)


def test_a_directory_of_format_1_opens_with_all_that_was_in_it(tmp_path: Path) -> None:
    path = tmp_path / "shop"
    shutil.copytree(GOLDEN / "shop", path)
    expected = (GOLDEN / "dump.txt").read_text().splitlines()
    with open_read_only(path) as reader, reader.view() as view:
        assert (reader.name, view.sequence, reader.verify()) == ("shop", 9, 9)
        assert list(dump(reader.view()._source)) == expected  # pyright: ignore[reportPrivateUsage]
    with RocksLog(RocksOptions(path=path, name="other", clock=Clock())) as log:
        assert (log.name, log.verify()) == ("shop", 9)
        # Its kept snapshot was made by hand, of row ids alone: bytes to read, not a table's rows.
        (told,) = log.verify_derived()
        assert told.startswith("snapshot v2 of table orders: ") and "schema generation" in told
        with log.view() as view:
            table = view.catalog.tables()[0]
            images = codec(table.schema)
            rows = {i: images.decode(image) for i, image in contents(view, table).items()}
            assert rows == {2: (2, "two"), 3: (30, "three"), 4: (4, None)}
            assert [m.move.why for _, m in view.moves(5)] == ["register", "consume", "rewind"]
            assert [row.what for row in view.audit()] == ["golden"]
            assert view.snapshot_versions(table.id) == [2]


def test_a_base_and_its_anchor() -> None:
    row = VersionRow(7, 258, 3, 5, Counts(4, 3, 2, 1), 9, 6, 11, bytes(range(32)))
    base = moved_on(
        NO_ROWS,
        [
            Written(257, 11, _columns([5, 1], [b"five", b"one"])),
            Written(258, 12, _columns([5, 1], [b"FIVE!", None])),
        ],
    )
    (block,) = blocks_of(base)
    assert block.hex(" ") == (
        "01 00 00 00 01 00 00 00 00 00 00 00 05 00 00 00 00 00 00 01 02 00 00 00 0c 00 00 00 05 "
        "46 49 56 45 21"
    )
    assert rows_in(block) == ScanBlock([5], [Stored(258, 12, b"FIVE!")])
    assert list(blocks_of(base_of([block]))) == [block]
    digest = BaseDigest()
    digest.add(block)
    anchor = Anchor(row, 1, 1, digest.digest())
    assert encode_anchor(anchor).hex() == (
        "01"
        "0000000000000102"
        "0000000000000001"
        "00000001"
        + blake2b(len(block).to_bytes(4, "big") + block, digest_size=32).hexdigest()
        + encode_version(row).hex()
    )
    assert decode_anchor(7, encode_anchor(anchor)) == anchor
    assert keys.base_key(7, 258, 3).hex(" ") == "03 00 00 00 07 00 00 00 00 00 00 01 02 00 00 00 03"
    assert keys.anchor_key(7).hex(" ") == "04 00 00 00 07"


@pytest.mark.parametrize("cut", [0, 4, 5, 20, 30, 33])
def test_a_cut_base_is_refused(cut: int) -> None:
    (block,) = blocks_of(moved_on(NO_ROWS, [Written(1, 2, _columns([5], [b"FIVE!"]))]))
    with pytest.raises(EncodingNotKnown):
        rows_in(block[:cut])
    with pytest.raises(EncodingNotKnown):
        base_of([block[:cut]])
    with pytest.raises(EncodingNotKnown):
        decode_anchor(1, block)


def _columns(row_ids: list[int], after: list[bytes | None]) -> Columns:
    ops = np.full(len(row_ids), OP_UPDATE, np.uint8)
    images = pa.array(after, pa.binary())
    return Columns(ops, np.array(row_ids, np.int64), None, images, None, None)
