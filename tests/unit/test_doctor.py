"""The doctor: nothing to find in a whole store, and the right word for each kind of damage."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

from support_log import delete, insert, make_consumer, make_table, update, write

from headwater.log_store.catalog import TableObject
from headwater.log_store.port import Log, View
from headwater.log_store.records import Block, ScanBlock, Stored, VersionRow, Watermark
from headwater.ops.doctor import examine
from headwater.schemas.images import codec


def filled(log: Log) -> TableObject:
    """Inserts, an update, a key change and a delete over four versions, and a consumer."""
    table = make_table(log)
    write(log, table, insert(table, 1, (1, "a")), insert(table, 2, (2, "b")))
    write(log, table, update(table, 1, (1, "a"), (1, "z"), 1))
    write(
        log,
        table,
        delete(table, 2, (2, "b"), 1)._replace(pair=1),
        insert(table, 2, (3, "b"))._replace(pair=-1),
    )
    write(log, table, delete(table, 1, (1, "z"), 2))
    make_consumer(log, table)
    return table


def faults(view: View) -> list[tuple[str, str]]:
    return [(check.check, check.fault) for check in examine(view) if check.fault]


class Tampered:
    """A view that answers as another does, but for what a test has replaced."""

    def __init__(self, view: View, answers: Mapping[str, object]) -> None:
        self._view, self._answers = view, answers

    def __getattr__(self, name: str) -> object:
        return self._answers.get(name) or getattr(self._view, name)


def tampered(view: View, name: str, answer: object) -> View:
    return cast(View, Tampered(view, {name: answer}))  # it has every name of a view


def test_a_whole_store_has_no_faults(log: Log) -> None:
    filled(log)
    with log.view() as view:
        checks = list(examine(view))
    assert [c.fault for c in checks] == [""] * len(checks)
    assert {c.check for c in checks} == {"commits", "chain", "counts", "rows", "watermark"}


def test_an_empty_store_and_an_empty_table_are_whole(log: Log) -> None:
    with log.view() as view:
        assert faults(view) == []
    make_table(log)
    with log.view() as view:
        assert faults(view) == []


def test_a_changed_byte_breaks_the_chain(log: Log) -> None:
    table = filled(log)

    def blocks(of: int, after: int, upto: int) -> Iterator[Block]:
        for block in view.blocks(of, after, upto):
            yield (
                replace(block, data=bytes(block.data[:-1]) + b"!") if block.version == 2 else block
            )

    with log.view() as view:
        assert (
            "chain",
            "the events of v2 are not those that were committed",
        ) in faults(tampered(view, "blocks", blocks))
        assert table.name in {check.subject for check in examine(view)}


def test_a_missing_version_is_named(log: Log) -> None:
    filled(log)

    def versions(of: int, after: int, upto: int) -> Iterator[VersionRow]:
        return (row for row in view.versions(of, after, upto) if row.version != 2)

    with log.view() as view:
        found = faults(tampered(view, "versions", versions))
    assert found == [("chain", "v1 is followed by v3"), ("counts", "v1 is followed by v3")]


def test_a_wrong_count_is_found(log: Log) -> None:
    filled(log)

    def versions(of: int, after: int, upto: int) -> Iterator[VersionRow]:
        for row in view.versions(of, after, upto):
            counts = row.counts._replace(updates=row.counts.updates + 1)
            yield row._replace(counts=counts) if row.version == 3 else row

    with log.view() as view:
        found = faults(tampered(view, "versions", versions))
    assert found == [("counts", "v3 counts other changes than its events are")]


def test_a_row_that_the_log_does_not_have_is_found(log: Log) -> None:
    table = filled(log)
    with log.view() as view:
        (block,) = view.scan(table.id)

    def other(row_ids: list[int], stored: Stored) -> Callable[[int], Iterator[ScanBlock]]:
        return lambda _: iter([ScanBlock(row_ids, [stored])])

    stored = block.stored[0]
    image = codec(table.schema).encode((3, "c"))
    with log.view() as view:
        for answer, fault in (
            (other([5], stored), "there are other rows than the log has"),
            (other([2], stored._replace(image=image)), "row 2 has other values than the log"),
            (other([2], stored._replace(version=1)), "row 2 was written by another version than"),
        ):
            ((check, found),) = faults(tampered(view, "scan", answer))
            assert check == "rows"
            assert found.startswith(fault)
        assert faults(tampered(view, "scan", no_blocks)) == [
            ("rows", "1 rows of the log are missing")
        ]


def no_blocks(_: int) -> Iterator[ScanBlock]:
    return iter(())


def no_watermark(_: int) -> None:
    return None


def nobody(_: int, keys: Sequence[bytes]) -> list[int | None]:
    return [None] * len(keys)


def test_a_key_that_leads_elsewhere_is_found(log: Log) -> None:
    filled(log)
    with log.view() as view:
        assert faults(tampered(view, "row_ids", nobody)) == [
            ("rows", "the key of row 2 leads to None")
        ]


def test_a_watermark_that_stands_elsewhere_is_found(log: Log) -> None:
    filled(log)

    def watermark(consumer: int) -> Watermark:
        found = view.watermark(consumer)
        assert found is not None
        return replace(found, position=3)

    with log.view() as view:
        assert faults(tampered(view, "watermark", watermark)) == [
            ("watermark", "it stands at 3, its last move ended at 0")
        ]
        assert faults(tampered(view, "watermark", no_watermark)) == [
            ("watermark", "the consumer has no watermark")
        ]
