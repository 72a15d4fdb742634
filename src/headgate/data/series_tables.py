"""Series of numbers in tables: one step a row, one series a row, one series a file, or lists in JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from headgate.data.example import DataError, Example, Place
from headgate.data.nested import ABSENT, SomeRows, find
from headgate.data.series import checked, number
from headgate.data.tables import Table

# A row's label from its values, by the rules of the task that reads.
Labels = Callable[[dict[str, Any], Place], Any]


def long_series(
    table: Table, id_column: str, time_column: str, channels: Sequence[str], label: Labels
) -> Iterator[Example]:
    """Series of a table with one step a row; those of one series stand together.

    Args:
        table: the rows.
        id_column: which series a row belongs to.
        time_column: orders the rows of a series, by number or else by its characters (as ISO dates are); "" to leave
            them as they stand.
        channels: columns of numbers, in this order.
        label: of a row; all rows of a series have the same.

    Raises:
        DataError: a cell is no number, a series comes again further down, or changes its label.
    """
    seen: set[str] = set()
    for name, rows in groupby(table, key=lambda row: str(_cell(row, id_column))):
        steps = list(rows)
        place = steps[0][1]
        if name in seen:
            raise DataError(f"{place}: series {name!r} comes again after others; put the rows of a series together.")
        seen.add(name)
        found = {_hashable(label(*row)): row for row in steps}
        if len(found) > 1:
            raise DataError(f"{list(found.values())[1][1]}: the label of series {name!r} changes; give it one.")
        if time_column:
            steps.sort(key=_order([_cell(row, time_column) for row in steps], time_column))
        yield Example(checked(_numbers(steps, channels), place), label(*steps[0]), place)


def wide_series(table: Table, channels: Sequence[str], label: Labels) -> Iterator[Example]:
    """A series of one channel from every row of a table: a column a step; empty cells at the end are past its end."""
    for values, place in table:
        numbers = np.array([number(values[name], Place(place.file, place.line, name)) for name in channels])
        there = np.flatnonzero(~np.isnan(numbers))
        yield Example(checked(numbers[: there[-1] + 1 if len(there) else 1], place), label(values, place), place)


def file_series(table: Table, channels: Sequence[str], label: Any) -> Example:
    """A whole table as one series: a step a row, a channel a column."""
    return Example(checked(_numbers(list(table), channels), Place(table.path)), label, Place(table.path))


def listed_series(rows: SomeRows, column: str, label: Labels) -> Iterator[Example]:
    """Series that stand in a column as lists: numbers, or for each step a list of its channels.

    Raises:
        DataError: it holds something else, or steps have different numbers of channels.
    """
    for values, place in rows:
        here = Place(place.file, place.line, f"{place.column}.{column}" if place.column else column)
        steps = find(values, column)
        if not isinstance(steps, list) or not steps:
            raise DataError(f"{here}: a list of steps was expected, as in [[0.1, 2], [0.3, 4]].")
        wide = [step if isinstance(step, list) else [step] for step in steps]
        if len({len(step) for step in wide}) > 1:
            raise DataError(f"{here}: its steps have {sorted({len(s) for s in wide})} channels; each needs the same.")
        yield Example(checked(np.array([[number(v, here) for v in s] for s in wide]), here), label(values, place), here)


def numeric_columns(table: Table) -> list[str]:
    """Columns whose first rows hold numbers or nothing, with a number at least once."""
    return [name for name in table.columns if _numeric([values.get(name) for values, _ in table.sample()])]


def _numeric(cells: list[Any]) -> bool:
    try:
        found = [number(cell, Place("")) for cell in cells if not isinstance(cell, bool)]
    except DataError:
        return False
    return any(value == value for value in found)


def _numbers(steps: list[tuple[dict[str, Any], Place]], channels: Sequence[str]) -> np.ndarray:
    return np.array([[number(v.get(name), Place(p.file, p.line, name)) for name in channels] for v, p in steps])


def _cell(row: tuple[dict[str, Any], Place], column: str) -> Any:
    value = find(row[0], column)
    if value is ABSENT:
        raise DataError(f"{row[1]} has no column {column!r}; it has {', '.join(map(repr, row[0]))}.")
    return value


def _hashable(label: Any) -> Any:
    return tuple(label) if isinstance(label, list) else label


def _order(times: list[Any], column: str) -> Callable[[tuple[dict[str, Any], Place]], Any]:
    try:
        [float(time) for time in times]
    except (TypeError, ValueError, OverflowError):
        return lambda row: str(_cell(row, column))
    return lambda row: float(_cell(row, column))
