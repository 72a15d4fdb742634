"""Tables by column: numbers and text of any table's rows, and where each cell stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from headgate.data.example import DataError, Place
from headgate.data.tables import Table, open_table

# What stands in a cell that holds nothing, in lower case.
MISSING = ("", "na", "n/a", "nan", "null", "none", "nil", "-", "?", "#n/a")
# Numbers are told from text by the larger part of a column's cells.
MOSTLY = 0.5
# Squares of numbers up to here, and sums of them, are finite.
LARGEST = 1e100
# Cells become columns so many rows at a time, since lists of Python's strings are large.
CHUNK = 20_000
LONGEST_SHOWN = 40


@dataclass(frozen=True)
class Frame:
    """A table as it stands in a file.

    Attributes:
        path: of the file.
        table: its columns as text without blanks around it, null where a cell holds nothing.
        rows: the line of each row in the file, or its number from 1 where there are no lines, [rows].
        lines: whether there are.
        decimal_comma: whether 3,5 is three and a half, as in files that separate columns by semicolons.
    """

    path: Path
    table: pl.DataFrame
    rows: np.ndarray
    lines: bool = True
    decimal_comma: bool = False

    @property
    def names(self) -> list[str]:
        return self.table.columns

    def place(self, row: int, column: str | None = None) -> Place:
        """Where a cell stands; `row` is counted from 0."""
        number = int(self.rows[row])
        if self.lines:
            return Place(self.path, number, column)
        return Place(self.path, None, f"row {number}" if column is None else f"{column!r} of row {number}")

    def has_numbers(self, name: str) -> bool:
        """Whether most of the cells that hold something hold numbers; true where no cell holds anything."""
        cells = self.table[name]
        held = len(cells) - cells.null_count()
        return held == 0 or len(cells) - self._cast(name).null_count() > MOSTLY * held

    def numbers(self, name: str) -> np.ndarray:
        """A column as float64, NaN where a cell is missing, [rows].

        Raises:
            DataError: a cell is no number, or one beyond LARGEST; said with line and column.
        """
        cells, cast = self.table[name], self._cast(name)
        if cast.null_count() > cells.null_count():
            row = int((cast.is_null() & cells.is_not_null()).to_numpy().argmax())
            raise DataError(
                f"{self.place(row, name)}: {shown(cells[row])} is no number; mend the cell, or leave it empty if the "
                "value is missing."
            )
        values = cast.fill_null(float("nan")).to_numpy()
        large = np.abs(values) > LARGEST
        if large.any():
            row = int(large.argmax())
            size = "infinite" if np.isinf(values[row]) else "too large"
            raise DataError(f"{self.place(row, name)}: {shown(cells[row])} is {size}; numbers go up to {LARGEST:g}.")
        return values.astype(np.float64)

    def _cast(self, name: str) -> pl.Series:
        cells = self.table[name]
        if self.decimal_comma:
            cells = cells.str.replace(",", ".", literal=True)
        return cells.cast(pl.Float64, strict=False)

    def require(self, name: str, meant: str) -> None:
        """Refuse a column that is not there.

        Raises:
            DataError: naming the columns that are.
        """
        if name not in self.names:
            known = ", ".join(self.names[:20])
            raise DataError(f"{self.path} has no column {name!r}, which is to hold {meant}; it has: {known}.")


def read_frame(path: str | Path, known: frozenset[str] = frozenset(), most: int | None = None) -> Frame:
    """A table from a file; of text with separators, the first line has to name the columns.

    Args:
        path: see `open_table`, as for `known`.
        most: so many rows at most, to look at the beginning alone.

    Raises:
        DataError: the file cannot be read or is no table; a row has other columns than the first ones, or more than one
            value in a cell.
    """
    table = open_table(path, header=True, known=known)
    if not table.columns or table.form in ("fasttext", "lines"):
        raise DataError(f"{path} holds lines of text, but a table with named columns was expected.")
    if table.header and all(is_number(name) for name in table.columns):
        raise DataError(f"{Place(path, 1)} holds numbers alone, but a header with the columns' names was expected.")
    rows = _checked(table) if most is None else islice(_checked(table), most)
    parts, places = [], []
    schema = dict.fromkeys(table.columns, pl.String)
    while chunk := list(islice(rows, CHUNK)):
        places.append(np.array([place.line or 0 for _, place in chunk], np.int64))
        parts.append(pl.DataFrame([cells for cells, _ in chunk], schema=schema, orient="row"))
    numbers = np.concatenate(places)
    lines = bool(numbers[0])
    numbers = numbers if lines else np.arange(1, len(numbers) + 1)
    return Frame(Path(path), _cleaned(pl.concat(parts, rechunk=True)), numbers, lines, table.separator == ";")


def shown(cell: object) -> str:
    """A cell as a message shows it: quoted, and cut where it is long."""
    text = str(cell)
    return repr(text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…")


def _checked(table: Table) -> Iterator[tuple[list[str | None], Place]]:
    """Cells as text, in the order of the columns."""
    known = set(table.columns)
    for values, place in table:
        if not values.keys() <= known:
            extra = next(name for name in values if name not in known)
            raise DataError(f"{place} has a column {shown(extra)} that the first rows have not; name it there.")
        yield [_as_text(values.get(name), name, place) for name in table.columns], place


def _as_text(value: Any, name: str, place: Place) -> str | None:
    if isinstance(value, (list, dict)):
        raise DataError(f"{place}: {shown(name)} holds {shown(value)}, but one value was expected.")
    return str(int(value)) if isinstance(value, bool) else None if value is None else str(value)


def _cleaned(table: pl.DataFrame) -> pl.DataFrame:
    cells = pl.all().str.strip_chars()
    return table.with_columns(pl.when(cells.str.to_lowercase().is_in(MISSING)).then(None).otherwise(cells).name.keep())


def is_number(text: str) -> bool:
    """Whether a cell is one that Python reads as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
