"""Reads Avro primitives one after the other, and trusts none of them. Pure."""


class Cursor:
    """Bytes with a place in them. Every method raises ValueError or IndexError at bad bytes."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def long(self) -> int:
        """A zigzag varint."""
        z = shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            z |= (byte & 127) << shift
            if byte < 128:
                return (z >> 1) ^ -(z & 1)
            shift += 7
            if shift > 63:
                raise ValueError("a number of more than 64 bits")

    def blob(self) -> bytes:
        """Length and bytes."""
        return self.take(self.long())

    def take(self, size: int) -> bytes:
        """So many bytes."""
        end = self._at + size
        if size < 0 or end > len(self._data):
            raise ValueError("a value runs over the end")
        value = self._data[self._at : end]
        self._at = end
        return value

    def text(self) -> str:
        """Length and UTF-8."""
        return self.blob().decode()

    def opt(self) -> int | None:
        """A long, or null."""
        return self.long() if self.some() else None

    def some(self) -> bool:
        """Which branch of a union with null follows."""
        branch = self.long()
        if branch not in (0, 1):
            raise ValueError("no such union branch")
        return branch == 1

    def count(self) -> int:
        """How many items the next block of an array has; 0 ends it."""
        count = self.long()
        if count < 0:  # another writer's blocks may carry their size
            self.long()
        return abs(count)

    def done(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._data)

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._at
