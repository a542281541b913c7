"""Row encoders and decoders as generated Python, one function per record.

The functions are source text built from the record's fields and compiled once: for a row at a
time this is several times faster than any interpreter of schemas, and it needs no C of ours.
"""

import math
import struct
from collections.abc import Callable, Sequence
from typing import Final, cast

from headwater.schemas import varints
from headwater.schemas.types import Row
from headwater.schemas.wire import INT64_HIGH, INT64_LOW, Form, WireField

RowEncoder = Callable[[Row], bytes]
RowDecoder = Callable[[bytes, int], tuple[Row, int]]

NAN: Final = float("nan")  # the one NaN that keys are written with

# What a generated encoder raises for a value that is not of its field.
ENCODE_ERRORS = (TypeError, ValueError, LookupError, AttributeError, OverflowError, struct.error)
# What a generated decoder raises for bytes that are no such record.
DECODE_ERRORS = (IndexError, ValueError, struct.error)


def compile_encoder(
    fields: Sequence[WireField], positions: Sequence[int], *, key: bool = False
) -> RowEncoder:
    """A function from a whole row to the record of the fields at those positions in it.

    With `key`, floats that are equal give equal bytes: one zero, one NaN. The function raises one
    of ENCODE_ERRORS for a value that is not of its field.
    """
    names: dict[str, object] = {
        "T": varints.SHORT,
        "N": varints.NULL,
        "Y": varints.SOME,
        "B": varints.BOOLEANS,
        "join": b"".join,
        "long": varints.encode_long,
        "out": varints.out_of_range,
        "string": varints.encode_string,
        "bytes_": varints.encode_bytes,
        "double": varints.pack_double,
        "key_double": _key_double,
    }
    source = ["def encode(r):\n"]
    parts: list[str] = []
    for i, field in zip(positions, fields, strict=True):
        source.append(f"    v{i} = r[{i}]\n")
        value = _encode_value(field, i, names)
        if key and field.form is Form.DOUBLE:
            value = f"key_double(v{i})"
        parts.append(f"(N if v{i} is None else Y + {value})" if field.optional else value)
    source.append(f"    return join(({', '.join(parts)},))\n" if parts else "    return b''\n")
    exec("".join(source), names)  # noqa: S102 - text made above from types alone
    return cast(RowEncoder, names["encode"])


def _key_double(value: float) -> bytes:
    return varints.pack_double(NAN if math.isnan(value) else value + 0.0)


def _encode_value(field: WireField, i: int, names: dict[str, object]) -> str:
    v = f"v{i}"
    match field.form:
        case Form.LONG:
            long = f"long({v})"
            if (field.low, field.high) != (INT64_LOW, INT64_HIGH):
                long += f" if {field.low} <= {v} <= {field.high} else out()"
            return f"(T[{v} << 1] if 0 <= {v} < 8192 else {long})"
        case Form.DECIMAL:
            names[f"decimal{i}"] = varints.bounded_decimal(field.low, field.high)
            return f"decimal{i}({v})"
        case Form.DOUBLE:
            return f"double({v})"
        case Form.BOOLEAN:
            return f"B[{v}]"
        case Form.STRING:
            # Inlined up to two bytes of length, which spares most texts a call.
            short = f"T[n << 1] + d if (n := len(d := {v}.encode())) < 8192"
            return f"({short} else string({v}))"
        case Form.BYTES:
            return f"bytes_({v})"


_LONG = """\
{i}x = b[p]; p += 1
{i}if x > 127:
{i}    x &= 127; s = 7
{i}    while True:
{i}        y = b[p]; p += 1
{i}        x |= (y & 127) << s
{i}        if y < 128: break
{i}        s += 7
{i}        if s > 63: raise ValueError('a varint is longer than 10 bytes')
{i}    if x >> 64: raise ValueError('a varint has more than 64 bits')
"""
_LENGTH = """\
{i}q = p + (x >> 1)
{i}if x & 1 or q > n: raise ValueError('a length is past the end')
"""


def compile_decoder(fields: Sequence[WireField]) -> RowDecoder:
    """A function from (bytes, place) to (row, place behind it).

    The function raises one of DECODE_ERRORS for bytes that are no such record.
    """
    source = ["def decode(b, p):\n", "    n = len(b)\n"]
    for i, field in enumerate(fields):
        if not field.optional:
            source.append(_decode_value(field, f"v{i}", "    "))
            continue
        source.append("    x = b[p]; p += 1\n")
        source.append(f"    if x == 0: v{i} = None\n    elif x == 2:\n")
        source.append(_decode_value(field, f"v{i}", "        "))
        source.append("    else: raise ValueError('no such union branch')\n")
    row = "".join(f"v{i}, " for i in range(len(fields)))
    source.append(f"    return ({row}), p\n")
    names: dict[str, object] = {"double": varints.unpack_double, "whole": int.from_bytes}
    exec("".join(source), names)  # noqa: S102 - text made above from types alone
    return cast(RowDecoder, names["decode"])


def _decode_value(field: WireField, v: str, i: str) -> str:
    check = f"{i}if not {field.low} <= {v} <= {field.high}: raise ValueError('out of range')\n"
    match field.form:
        case Form.LONG:
            free = (field.low, field.high) == (INT64_LOW, INT64_HIGH)
            value = f"{i}{v} = (x >> 1) ^ -(x & 1)\n"
            return _LONG.format(i=i) + value + ("" if free else check)
        case Form.DECIMAL:
            size = f"{i}if not 2 <= x <= 32: raise ValueError('no such decimal')\n"
            value = f"{i}{v} = whole(b[p:q], 'big', signed=True); p = q\n"
            return _LONG.format(i=i) + _LENGTH.format(i=i) + size + value + check
        case Form.DOUBLE:
            return f"{i}{v}, = double(b, p); p += 8\n"
        case Form.BOOLEAN:
            wrong = "raise ValueError('no such boolean')"
            return f"{i}x = b[p]; p += 1\n{i}if x > 1: {wrong}\n{i}{v} = x == 1\n"
        case Form.STRING:
            value = f"{i}{v} = str(b[p:q], 'utf-8'); p = q\n"
            return _LONG.format(i=i) + _LENGTH.format(i=i) + value
        case Form.BYTES:
            return _LONG.format(i=i) + _LENGTH.format(i=i) + f"{i}{v} = b[p:q]; p = q\n"
