"""Rows of a Parquet file."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from headgate.data.example import DataError, Place
from headgate.data.nested import SomeRows

ROWS_AT_ONCE = 20_000


def parquet_rows(path: str | Path) -> SomeRows:
    """The rows, some thousands in memory at a time, with lists and structs as Python has them.

    Raises:
        DataError: the file is no Parquet, or damaged.
    """
    if not Path(path).is_file():
        raise DataError(f"{path}: there is no such file.")
    start = 0
    while True:
        try:
            part = pl.scan_parquet(path, glob=False).slice(start, ROWS_AT_ONCE).collect()
            rows = part.to_dicts()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, MemoryError) as reason:
            raise DataError(f"{path} is no readable Parquet file ({' '.join(str(reason).split())[:80]}).") from None
        yield from ((row, Place(path, None, f"row {k}")) for k, row in enumerate(rows, start + 1))
        start += len(rows)
        if len(rows) < ROWS_AT_ONCE:
            return
