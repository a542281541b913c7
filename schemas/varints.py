"""Avro primitives for one value at a time: longs, strings, bytes and decimals to bytes."""

import struct
from collections.abc import Callable
from typing import Final

from headwater.schemas.wire import INT64_HIGH, INT64_LOW


def varint(z: int) -> bytes:
    """An unsigned varint: seven bits a byte, low ones first."""
    out = bytearray()
    while z > 127:
        out.append(z & 127 | 128)
        z >>= 7
    out.append(z)
    return bytes(out)


# All that take one or two bytes, and the same numbers as two bytes with more to follow.
SHORT: Final = tuple(varint(z) for z in range(1 << 14))
_MORE = tuple(bytes((z & 127 | 128, z >> 7 | 128)) for z in range(1 << 14))
NULL: Final = b"\x00"
SOME: Final = b"\x02"
BOOLEANS: Final = {False: b"\x00", True: b"\x01"}
pack_double: Final = struct.Struct("<d").pack
unpack_double: Final = struct.Struct("<d").unpack_from


def encode_long(n: int) -> bytes:
    """A zigzag varint of a 64-bit int.

    Raises:
        OverflowError: the int has more than 64 bits.
    """
    if not INT64_LOW <= n <= INT64_HIGH:
        raise OverflowError("is out of range")
    z = (n << 1) ^ (n >> 63)
    if z < 16384:
        return SHORT[z]
    if z < 268435456:
        return _MORE[z & 16383] + SHORT[z >> 14]
    if z < 4398046511104:
        return _MORE[z & 16383] + _MORE[z >> 14 & 16383] + SHORT[z >> 28]
    three = _MORE[z & 16383] + _MORE[z >> 14 & 16383] + _MORE[z >> 28 & 16383]
    # Microseconds since 1970 come here: four table looks, no loop.
    return three + (SHORT[z >> 42] if z < 72057594037927936 else varint(z >> 42))


def out_of_range() -> bytes:
    """Always an OverflowError: what stands in for a value that its field cannot hold."""
    raise OverflowError("is out of range")


def encode_string(text: str) -> bytes:
    """Length and UTF-8 of a text; UnicodeEncodeError for a lone surrogate."""
    data = text.encode()
    n = len(data) << 1
    return (SHORT[n] if n < 16384 else varint(n)) + data


def encode_bytes(data: bytes) -> bytes:
    """Length and bytes."""
    n = len(data) << 1
    return (SHORT[n] if n < 16384 else varint(n)) + data


def bounded_decimal(low: int, high: int) -> Callable[[int], bytes]:
    """Unscaled ints within low and high as Avro decimals; OverflowError outside.

    The length is bit_length // 8 + 1, as fastavro writes it: one byte more than the least for
    exactly -2^(8k-1).
    """

    def encode(n: int) -> bytes:
        if low <= n <= high:
            k = (n.bit_length() >> 3) + 1
            return SHORT[k << 1] + n.to_bytes(k, "big", signed=True)
        raise OverflowError("is out of range")

    return encode


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """The zigzag varint at a place, and the place behind it.

    Raises:
        IndexError: the bytes end first.
        ValueError: it takes more than 64 bits.
    """
    x = shift = 0
    while True:
        y = data[at]
        at += 1
        x |= (y & 127) << shift
        if y < 128:
            break
        shift += 7
        if shift > 63:
            raise ValueError("a varint is longer than 10 bytes")
    if x >> 64:
        raise ValueError("a varint has more than 64 bits")
    return (x >> 1) ^ -(x & 1), at


def read_string(data: bytes, at: int) -> tuple[str, int]:
    """The string at a place, and the place behind it; IndexError or ValueError as `read_long`."""
    n, at = read_long(data, at)
    end = at + n
    if n < 0 or end > len(data):
        raise ValueError("a string has a length that its message has not")
    return str(data[at:end], "utf-8"), end
