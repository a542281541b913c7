"""Snowflake's formats of dates and times as DuckDB's: `YYYY-MM-DD` is `%Y-%m-%d`. Pure."""

import re
from typing import Final

_ELEMENTS: Final = {
    "YYYY": "%Y", "YY": "%y", "MMMM": "%B", "MM": "%m", "MON": "%b", "DD": "%d", "DY": "%a",
    "HH24": "%H", "HH12": "%I", "HH": "%H", "AM": "%p", "PM": "%p", "MI": "%M", "SS": "%S",
    "FF": "%f", "FF9": "%f000", "FF8": "%f00", "FF7": "%f0", "FF6": "%f", "FF3": "%g",
    "FF0": "",
}  # fmt: skip
_ZONES: Final = {"TZH:TZM": "tz", "TZHTZM": "tzc", "TZH": "tzh", "TZM": "tzm", "TZD": "tz"}
_TOKEN: Final = re.compile(
    '"([^"]*)"|('
    + "|".join(sorted([*_ZONES, *_ELEMENTS, "FF1", "FF2", "FF4", "FF5"], key=len, reverse=True))
    + ")|(.)",
    re.IGNORECASE | re.DOTALL,
)


_DIGITS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_BACK: Final = {
    **{f"%f_{word}": f"FF{at}" for at, word in enumerate(_DIGITS)},
    "%:z": "TZH:TZM", "%-z": "TZH", "%z": "TZHTZM", "%Y": "YYYY", "%y": "YY", "%B": "MMMM",
    "%b": "MON", "%m": "MM", "%d": "DD", "%a": "DY", "%H": "HH24", "%I": "HH12", "%M": "MI",
    "%S": "SS", "%f": "FF6", "%p": "AM",
}  # fmt: skip
_PYTHON: Final = re.compile("|".join(re.escape(one) for one in _BACK))


def as_written(format_: str) -> str:
    """A format in Snowflake's words; sqlglot turns some of them into Python's."""
    return _PYTHON.sub(lambda found: _BACK[found[0]], format_) if "%" in format_ else format_


def strftime_parts(format_: str) -> list[tuple[str, str]]:
    """A format in pieces: ("time", a pattern), ("zone", tz | tzc | tzh | tzm), ("text", as it is)."""
    found: list[tuple[str, str]] = []
    for match in _TOKEN.finditer(as_written(format_)):
        word = (match[2] or "").upper()
        if word in _ZONES:
            piece = ("zone", _ZONES[word])
        elif word in _ELEMENTS:
            piece = ("time", _ELEMENTS[word])
        elif word:  # FF1, FF2, FF4, FF5: DuckDB writes three digits or six
            piece = ("time", "%g" if word in ("FF1", "FF2") else "%f")
        else:
            piece = ("text", match[1] if match[1] is not None else match[3])
        if found and found[-1][0] == piece[0] == "text":
            piece = ("text", found.pop()[1] + piece[1])
        found.append(piece)
    return found


def strptime_format(format_: str) -> str:
    """A format as DuckDB reads texts by it."""
    made = ""
    for kind, piece in strftime_parts(format_):
        if kind == "zone":
            made += "%z"
        elif kind == "time":
            made += (
                re.sub(r"0+$", "", piece).replace("%g", "%f") if piece.startswith("%f") else piece
            )
        else:
            made += piece.replace("%", "%%")
    return made.replace("%g", "%f")
