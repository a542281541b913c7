"""What follows the images in an event: learnt from one message, recognised in all of its shape.

Most events of a table differ only in numbers, and those mostly in value, not in length. So the
first event is parsed field by field, which gives its `Layout`: where each number stands, and which
bits make the structure (lengths, union branches, the continuation bits of varints, the top bits of
ASCII text). Another tail that agrees in those bits is well-formed too, and its numbers stand in
the same places.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from headwater.schemas.errors import EventUnreadable
from headwater.schemas.varints import read_long

# The fields that are read, in the order of `Tail`.
NUMBERS: Final = ("commit_version", "event_seq", "pair_seq", "row_id", "txId", "ts_us")

# (has a before image, has an after image) that each op must have.
IMAGES_OF: Final = {
    ord("c"): (False, True),
    ord("r"): (False, True),
    ord("u"): (True, True),
    ord("d"): (True, False),
}

# (name, form, union branch of the value: None where there is no union)
_SOURCE: Final = (
    ("version", "string", None),
    ("connector", "string", None),
    ("name", "string", None),
    ("ts_ms", "long", None),
    ("snapshot", "string", 0),
    ("db", "string", None),
    ("sequence", "string", 1),
    ("ts_us", "long", 1),
    ("ts_ns", "long", 1),
    ("schema", "string", None),
    ("table", "string", None),
    ("txId", "long", 1),
    ("lsn", "long", 1),
    ("xmin", "long", 1),
    ("commit_version", "long", 1),
    ("event_seq", "long", 1),
    ("event_count", "long", 1),
    ("row_id", "long", 1),
    ("pair_seq", "long", 1),
    ("epoch", "long", 1),
)
_TRANSACTION: Final = (
    ("transaction.id", "string", None),
    ("transaction.total_order", "long", None),
    ("transaction.data_collection_order", "long", None),
)
_END: Final = (
    ("op", "string", None),
    ("written.ts_ms", "long", 1),
    ("written.ts_us", "long", 1),
    ("written.ts_ns", "long", 1),
)
_NEEDED: Final = frozenset({"commit_version", "event_seq", "row_id", "txId", "ts_us"})


class Tail(NamedTuple):
    """The numbers of one event that its readers ask for; `pair_seq` is 0 where it is null."""

    version: int
    event_seq: int
    pair_seq: int
    row_id: int
    sequence: int
    time_us: int
    op: int


Spans = tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """The shape of a tail: what every tail of this shape shares with `sample` under `mask`.

    `spans` are the places (start, end) of NUMBERS, None for a null; `op` is the place of its byte;
    `numbers` are those of the sample.
    """

    length: int
    mask: bytes
    sample: bytes
    spans: Spans
    op: int
    mask_bits: int
    pattern_bits: int
    numbers: tuple[int, ...]
    samples: tuple[tuple[int, int, bytes, int], ...]  # start, end, bytes and value of each number

    def read(self, tail: bytes) -> Tail | None:
        """The numbers of a tail, None if it has another shape."""
        if len(tail) != self.length:
            return None
        if int.from_bytes(tail, "little") & self.mask_bits != self.pattern_bits:
            return None
        # Most numbers of a commit's events are the sample's own.
        v = [
            number if tail[start:end] == alike else read_long(tail, start)[0]
            for start, end, alike, number in self.samples
        ]
        return Tail._make((*v, tail[self.op]))


class _Walk:
    """A strict parse of one tail that notes its structure as it goes."""

    def __init__(self, tail: bytes) -> None:
        self.tail, self.at = tail, 0
        self.mask = bytearray(b"\xff" * len(tail))
        self.spans: dict[str, tuple[int, int]] = {}

    def fields(self, fields: tuple[tuple[str, str, int | None], ...]) -> None:
        for name, form, branch in fields:
            if branch is not None and self.branch() != branch:
                if name in _NEEDED:
                    raise ValueError(f"source.{name} is null")
                continue
            if form == "long":
                self.long(name)
            else:
                self.string(name)

    def branch(self) -> int:
        byte = self.tail[self.at]
        self.at += 1
        if byte not in (0, 2):
            raise ValueError("no such union branch")
        return byte >> 1

    def long(self, name: str) -> None:
        start = self.at
        _, self.at = read_long(self.tail, start)
        for i in range(start, self.at):
            # The tenth byte has room for one bit only.
            self.mask[i] = 0x80 if i < start + 9 else 0xFE
        self.spans[name] = (start, self.at)

    def string(self, name: str) -> None:
        size, start = read_long(self.tail, self.at)
        end = start + size
        if size < 0 or end > len(self.tail):
            raise ValueError("a length is past the end")
        text = self.tail[start:end]
        if text.isascii():
            self.mask[start:end] = b"\x80" * size
        else:
            str(text, "utf-8")
        self.at = end
        self.spans[name] = (start, end)


def learn(tail: bytes) -> Layout:
    """The layout of a tail.

    Raises:
        EventUnreadable: it is no end of an event, or lacks a number that ours always have.
    """
    walk = _Walk(tail)
    try:
        walk.fields(_SOURCE)
        if walk.branch():
            walk.fields(_TRANSACTION)
        walk.fields(_END)
    except IndexError:
        raise EventUnreadable("the bytes end too soon") from None
    except ValueError as error:
        raise EventUnreadable(str(error), position=walk.at) from None
    if walk.at != len(tail):
        raise EventUnreadable(f"{len(tail) - walk.at} bytes are left over", position=walk.at)
    start, end = walk.spans["op"]
    if end - start != 1:
        raise EventUnreadable("op is not one letter", position=start)
    mask = bytes(walk.mask)
    spans = tuple(walk.spans.get(name) for name in NUMBERS)
    return _layout(tail, mask, int.from_bytes(mask, "little"), spans, start)


def _layout(tail: bytes, mask: bytes, mask_bits: int, spans: Spans, op: int) -> Layout:
    """The layout of these places with a tail of that shape as its sample."""
    numbers = tuple(0 if span is None else read_long(tail, span[0])[0] for span in spans)
    places = [span or (0, 0) for span in spans]
    return Layout(
        length=len(tail),
        mask=mask,
        sample=tail,
        spans=spans,
        op=op,
        mask_bits=mask_bits,
        pattern_bits=int.from_bytes(tail, "little") & mask_bits,
        numbers=numbers,
        samples=tuple(
            (start, end, tail[start:end], number)
            for (start, end), number in zip(places, numbers, strict=True)
        ),
    )


_LAYOUTS_KEPT = 256
_layouts: dict[int, Layout] = {}  # the last one seen of each length


def layout_of(tail: bytes) -> Layout:
    """The layout of a tail with itself as the sample; one of a shape just seen costs little.

    Raises:
        EventUnreadable: as `learn`.
    """
    known = _layouts.get(len(tail))
    if known is not None and int.from_bytes(tail, "little") & known.mask_bits == known.pattern_bits:
        return _layout(tail, known.mask, known.mask_bits, known.spans, known.op)
    layout = learn(tail)
    if len(_layouts) >= _LAYOUTS_KEPT:
        _layouts.clear()
    _layouts[len(tail)] = layout
    return layout


def read_tail(tail: bytes) -> Tail:
    """The numbers of one tail.

    Raises:
        EventUnreadable: as `learn`.
    """
    known = _layouts.get(len(tail))
    if known is not None and (found := known.read(tail)) is not None:
        return found
    layout = layout_of(tail)
    return Tail._make((*layout.numbers, tail[layout.op]))
