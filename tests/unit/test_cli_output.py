"""The four formats, frozen; what goes where; how errors end."""

import io
import json
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest

from headwater.log_store.errors import DirectoryInUse, OutsideHistory, WriteConflict
from headwater.ops.exits import CommandError, Exit, exit_for, sentence
from headwater.ops.output import Format, Output, as_json, as_text, visible

COLUMNS = ["id", "amount", "name", "at"]
ROWS = [
    (1, Decimal("12.50"), "Laptop", datetime(2026, 2, 8, 10, tzinfo=UTC)),
    (20, None, 'a "b", c', None),
]
FROZEN = {
    Format.TABLE: (
        "id  amount  name      at\n"
        " 1   12.50  Laptop    2026-02-08 10:00:00Z\n"
        '20    NULL  a "b", c  NULL\n'
    ),
    Format.JSONL: (
        '{"id": 1, "amount": "12.50", "name": "Laptop", "at": "2026-02-08 10:00:00Z"}\n'
        '{"id": 20, "amount": null, "name": "a \\"b\\", c", "at": null}\n'
    ),
    Format.CSV: ('id,amount,name,at\n1,12.50,Laptop,2026-02-08 10:00:00Z\n20,,"a ""b"", c",\n'),
}


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def printed(format: Format, out: io.StringIO | None = None) -> str:
    out = out or io.StringIO()
    Output(format, streams=(out, io.StringIO())).listing(COLUMNS, ROWS)
    return out.getvalue()


@pytest.mark.parametrize("format", FROZEN)
def test_a_listing_in_a_pipe_looks_like_this(format: Format) -> None:
    assert printed(format) == FROZEN[format]


def test_json_is_one_document_with_the_rows_of_jsonl() -> None:
    lines = printed(Format.JSONL).splitlines()
    assert json.loads(printed(Format.JSON)) == [json.loads(line) for line in lines]


def test_a_terminal_gets_borders_and_no_colour_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    shown = printed(Format.TABLE, Terminal())
    assert "┃" in shown or "│" in shown
    assert "\x1b[3" not in shown


def test_an_empty_listing_still_names_its_columns() -> None:
    out = io.StringIO()
    Output(Format.TABLE, streams=(out, io.StringIO())).listing(COLUMNS, [])
    assert out.getvalue() == "id  amount  name  at\n"


def test_a_record_is_a_line_a_field_or_one_object() -> None:
    fields = {"name": "orders", "versions": 3, "comment": None}
    shown: dict[Format, str] = {}
    for format in Format:
        out = io.StringIO()
        Output(format, streams=(out, io.StringIO())).record(fields)
        shown[format] = out.getvalue()
    assert shown[Format.TABLE] == "name      orders\nversions  3\ncomment   \n"
    assert shown[Format.CSV] == "name,versions,comment\norders,3,\n"
    assert json.loads(shown[Format.JSON]) == json.loads(shown[Format.JSONL]) == fields


def test_results_go_to_stdout_and_words_to_stderr() -> None:
    out, err = io.StringIO(), io.StringIO()
    output = Output(Format.JSONL, streams=(out, err))
    output.say("working")
    output.listing(["a"], [(1,)])
    assert (out.getvalue(), err.getvalue()) == ('{"a": 1}\n', "working\n")


def test_quiet_drops_words_but_no_error() -> None:
    err = io.StringIO()
    output = Output(quiet=True, streams=(io.StringIO(), err))
    output.say("working")
    output.fail("broken")
    assert err.getvalue() == "broken\n"


def test_no_value_loses_a_digit_in_json() -> None:
    assert as_json(Decimal("1E-9")) == "0.000000001"
    assert as_json(float("inf")) == "inf"
    assert as_json({"a": [b"\x00\xff", date(2026, 1, 2), time(3, 4)]}) == {
        "a": ["00ff", "2026-01-02", "03:04:00"]
    }
    assert as_text({"ü": Decimal("1.0")}) == '{"ü": "1.0"}'
    assert as_text(True) == "true"


def test_data_cannot_steer_a_terminal() -> None:
    assert visible("a\x1b[2Jb\nü") == "a\\x1b[2Jb\\nü"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DirectoryInUse("shop", pid=7, host="here"), Exit.CANNOT_OPEN),
        (OutsideHistory("version 3 is gone"), Exit.NOT_FOUND),
        (WriteConflict("row", "7", "was changed"), Exit.STATEMENT_FAILED),
        (CommandError("E_X", "no", Exit.REFUSED), Exit.REFUSED),
        (TimeoutError(), Exit.TIMED_OUT),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
        (RuntimeError("broken"), Exit.UNEXPECTED),
    ],
)
def test_each_error_ends_with_its_own_exit_code(error: BaseException, code: Exit) -> None:
    assert exit_for(error) == code


def test_an_error_is_one_sentence_with_its_code() -> None:
    assert sentence(DirectoryInUse("shop", pid=7, host="here")) == (
        "error: shop is open in process 7 on here: stop it, or open the store read-only "
        "[E_DIRECTORY_IN_USE]"
    )
    assert sentence(RuntimeError("two\nlines")) == (
        "error: RuntimeError: two lines; see --debug [E_UNEXPECTED]"
    )
