"""Where a table's kept history begins, read: its anchor, and the rows as of it."""

from collections.abc import Iterator

from headwater.log_store import rocks_keys as keys
from headwater.log_store.base import Anchor, BaseDigest, decode_anchor, rows_in
from headwater.log_store.encoding import EncodingNotKnown
from headwater.log_store.errors import LogDamaged
from headwater.log_store.records import ScanBlock
from headwater.log_store.rocks_state import Source


def read_anchor(source: Source, table: int) -> Anchor | None:
    """Where a table's kept history begins; None while that is v0. Raises LogDamaged."""
    value = source.get("snap", keys.anchor_key(table))
    if value is None:
        return None
    try:
        return decode_anchor(table, value)
    except EncodingNotKnown as error:
        raise LogDamaged(f"the anchor of table {table}", str(error)) from error


def base_blocks(source: Source, table: int, anchor: Anchor | None) -> Iterator[bytes]:
    """The blocks of a table's base. Raises LogDamaged where one is missing."""
    if anchor is None:
        return
    version, found = anchor.row.version, 0
    start = keys.base_key(table, version, 0)
    for pairs in source.chunks("snap", start, keys.base_key(table, version + 1, 0)):
        for _, value in pairs:
            yield value
            found += 1
    if found != anchor.blocks:
        raise LogDamaged(
            f"the base of table {table}", f"{found} blocks stand where there were {anchor.blocks}"
        )


def base_rows(source: Source, table: int) -> Iterator[ScanBlock]:
    """The rows of a table as of its horizon, in row id order. Raises LogDamaged."""
    for block in base_blocks(source, table, read_anchor(source, table)):
        try:
            yield rows_in(block)
        except EncodingNotKnown as error:
            raise LogDamaged(f"the base of table {table}", str(error)) from error


def verify_base(source: Source, table: int) -> int:
    """Recompute the digest of a table's base; returns its horizon. Raises LogDamaged."""
    anchor = read_anchor(source, table)
    if anchor is None:
        return 0
    digest = BaseDigest()
    for block in base_blocks(source, table, anchor):
        digest.add(block)
    if digest.digest() != anchor.digest:
        raise LogDamaged(f"the base of table {table}", "its digest does not hold")
    return anchor.row.version


def horizon_of(source: Source, table: int) -> int:
    """The version that a table's kept history begins with. Raises LogDamaged."""
    anchor = read_anchor(source, table)
    return 0 if anchor is None else anchor.row.version
