"""FILE_FORMAT and the options of COPY, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from headwater.sql.errors import ProgrammingError, unsupported
from headwater.sql.statements import OptionValue

Options = Mapping[str, OptionValue]

_COMMON: Final = ("TYPE", "COMPRESSION", "NULL_IF", "TRIM_SPACE")
_KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "CSV": (
        *_COMMON,
        "FIELD_DELIMITER",
        "RECORD_DELIMITER",
        "SKIP_HEADER",
        "PARSE_HEADER",
        "FIELD_OPTIONALLY_ENCLOSED_BY",
        "EMPTY_FIELD_AS_NULL",
        "ERROR_ON_COLUMN_COUNT_MISMATCH",
        "SKIP_BLANK_LINES",
        "ENCODING",
    ),
    "JSON": (*_COMMON, "STRIP_OUTER_ARRAY"),
    "PARQUET": (*_COMMON,),
}
_TYPES: Final = {"CSV": "CSV", "JSON": "JSON", "NDJSON": "JSON", "PARQUET": "PARQUET"}
_ENDINGS: Final = {
    "csv": "CSV",
    "tsv": "CSV",
    "json": "JSON",
    "ndjson": "JSON",
    "jsonl": "JSON",
    "parquet": "PARQUET",
    "pq": "PARQUET",
}
_DELIMITERS: Final = {"\\t": "\t", "TAB": "\t", "\\|": "|", "NONE": "\0"}


@dataclass(frozen=True, slots=True)
class FileFormat:
    """How files are read. `kind` is CSV, JSON or PARQUET; most of the rest is for CSV.

    `skip` lines stand before the rows; with `header` the next one names the columns. Texts in
    `nulls`, not quoted, are NULL.
    """

    kind: str
    compression: str = "AUTO"
    delimiter: str = ","
    skip: int = 0
    header: bool = False
    quote: str = '"'
    nulls: tuple[str, ...] = ("\\N", "")
    trim: bool = False
    counted: bool = True
    blank_lines: bool = False
    strip_array: bool = False


def kind_of(options: Options, name: str) -> str:
    """CSV, JSON or PARQUET: as TYPE says, else by a file's ending, else CSV.

    Raises:
        NotSupportedError: another TYPE.
    """
    said = options.get("TYPE")
    if said is None:
        endings = [
            part.lower() for part in name.split(".")[1:] if part.lower() not in ("gz", "bz2")
        ]
        return _ENDINGS.get(endings[-1] if endings else "", "CSV")
    kind = _TYPES.get(str(said).upper())
    if kind is None:
        raise unsupported(f"files of TYPE {said} are not there: there are CSV, JSON, PARQUET")
    return kind


def file_format(options: Options, name: str) -> FileFormat:
    """What FILE_FORMAT says of a file.

    Raises:
        NotSupportedError, ProgrammingError: an option that there is none of, or no such value.
    """
    kind = kind_of(options, name)
    for key in options:
        if key not in _KNOWN[kind]:
            raise unsupported(f"FILE_FORMAT {key} of {kind} is not there")
    if str(options.get("ENCODING", "UTF8")).upper().replace("-", "") != "UTF8":
        raise unsupported("files are read as UTF8 only")
    if str(options.get("RECORD_DELIMITER", "\\n")) not in ("\\n", "\n", "\\r\\n", "\r\n", "NONE"):
        raise unsupported("lines end in a line break: there is no other RECORD_DELIMITER")
    nulls = _texts(options.get("NULL_IF"), ("\\N",))
    if flag(options, "EMPTY_FIELD_AS_NULL", default=True):
        nulls = (*nulls, "")
    tabbed = name.lower().removesuffix(".gz").endswith(".tsv") and "TYPE" not in options
    return FileFormat(
        kind,
        compression=str(options.get("COMPRESSION", "AUTO")).upper(),
        delimiter=_character(options.get("FIELD_DELIMITER", "\t" if tabbed else ",")),
        skip=whole(options, "SKIP_HEADER"),
        header=flag(options, "PARSE_HEADER"),
        quote=_quote(options.get("FIELD_OPTIONALLY_ENCLOSED_BY", '"')),
        nulls=nulls,
        trim=flag(options, "TRIM_SPACE"),
        counted=flag(options, "ERROR_ON_COLUMN_COUNT_MISMATCH", default=True),
        blank_lines=flag(options, "SKIP_BLANK_LINES"),
        strip_array=flag(options, "STRIP_OUTER_ARRAY"),
    )


def flag(options: Options, name: str, *, default: bool = False) -> bool:
    """An option that is TRUE or FALSE.

    Raises:
        ProgrammingError: it is neither.
    """
    said = options.get(name, default)
    if str(said).upper() not in ("TRUE", "FALSE"):
        raise ProgrammingError(f"{name} is TRUE or FALSE, not {said}", code="E_COPY_OPTION")
    return str(said).upper() == "TRUE"


def whole(options: Options, name: str) -> int:
    """An option that is a whole number of at least 0; 0 where it is not said.

    Raises:
        ProgrammingError: it is no such number.
    """
    said = options.get(name, 0)
    if isinstance(said, bool) or not str(said).isdigit() or len(str(said)) > 9:
        raise ProgrammingError(f"{name} is a whole number, not {said}", code="E_COPY_OPTION")
    return int(str(said))


def _texts(said: OptionValue | None, default: tuple[str, ...]) -> tuple[str, ...]:
    if said is None:
        return default
    return said if isinstance(said, tuple) else (str(said),)


def _character(said: OptionValue) -> str:
    text = _DELIMITERS.get(str(said), str(said))
    if len(text) != 1 or not text.isascii():
        raise unsupported(f"FIELD_DELIMITER {said} is not there: give one ASCII character")
    return text


def _quote(said: OptionValue) -> str:
    text = "" if str(said).upper() == "NONE" else str(said)
    if text not in ("", '"', "'"):
        raise ProgrammingError(
            "FIELD_OPTIONALLY_ENCLOSED_BY is NONE, a double or a single quote", code="E_COPY_OPTION"
        )
    return text
