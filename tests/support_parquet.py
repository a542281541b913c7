"""Parquet files as tests read them."""

from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

import pyarrow as pa
from pyarrow import parquet


def read_parquet(source: Path | IO[bytes]) -> pa.Table:
    """All rows of one file."""
    with parquet.ParquetFile(source) as file:
        # The stubs leave the element types of its parameters open.
        return cast(Callable[[], pa.Table], file.read)()
