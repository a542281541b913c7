"""The names of files that COPY writes: they say which windows are in them. Pure.

    name    := part ("+" part)* ["." number] "." ending     a part for each stream read
    part    := stream "_" first "-" last
    first   := "initial" | "v" version                       the first version in the window
    last    := "v" version

`s_v101-v150.parquet` is the window (v100, v150] of stream s. A second file of one window in one
transaction is numbered 2, and so on. Letters, digits, `_` and `-` of a stream's name stand for
themselves, what else there is as %XX.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

from headwater.consumers.windows import Window
from headwater.log_store.records import INITIAL

_PART = re.compile(r"(?P<stream>[\w%-]+)_(?:initial|v(?P<first>\d+))-v(?P<last>\d+)", re.ASCII)
_NAME = re.compile(r"(?P<parts>[\w%+-]+)(?:\.(?P<number>\d+))?\.(?P<ending>[a-z][a-z.]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class StreamWindow:
    """A stream by its name and one of its windows."""

    stream: str
    window: Window


def file_name(parts: Sequence[StreamWindow], ending: str, number: int = 1) -> str:
    """The name of the file, or the `number`th, that holds these windows."""
    said = "+".join(map(_part, parts))
    return f"{said}.{ending}" if number == 1 else f"{said}.{number}.{ending}"


def _part(of: StreamWindow) -> str:
    first = "initial" if of.window.initial else f"v{of.window.after + 1}"
    # `.` and `~` mean nothing to quote, and much to a shell or to this grammar.
    stream = quote(of.stream, safe="").replace(".", "%2E").replace("~", "%7E")
    return f"{stream}_{first}-v{of.window.upto}"


def windows_in(name: str) -> list[StreamWindow]:
    """The windows that a file's name says are in it; none for a file that COPY did not write."""
    found = _NAME.fullmatch(name)
    parts = [_PART.fullmatch(part) for part in found["parts"].split("+")] if found else []
    windows: list[StreamWindow] = []
    for part in parts:
        if part is None:
            return []
        after = INITIAL if part["first"] is None else int(part["first"]) - 1
        windows.append(StreamWindow(unquote(part["stream"]), Window(after, int(part["last"]))))
    return windows


def starts_above(name: str, stream: str, watermark: int) -> bool:
    """Whether a file holds a window of the stream that starts at or above a watermark.

    No commit made such a file what it is: a try that failed, or one that a rewind took back.
    """
    return any(
        one.stream == stream and one.window and one.window.after >= watermark
        for one in windows_in(name)
    )
