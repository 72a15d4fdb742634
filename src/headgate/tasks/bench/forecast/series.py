"""Rows of a table to series: sorted by time, on a grid of even steps, with what was found on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from headgate.data import DataError, Example
from headgate.data.example import Place
from headgate.data.frames import Frame, read_frame, shown
from headgate.data.times import EPOCHS, ZONES, Frequency, Times, infer_frequency, is_time_or_number, read_times, written
from headgate.tasks.bench.forecast.options import Options
from headgate.tasks.bench.forecast.roles import KNOWN, Roles, find_roles

# A share of rows that repeat another row's time with other values: beyond it, several series stand in one.
MANY_REPEATS = 0.1
# Rows from which a series tells its own frequency.
ENOUGH = 4


@dataclass(frozen=True)
class Found:
    """What was unusual about the rows of a series.

    Attributes:
        rows: in the file.
        repeated: rows whose time another row has; the values of the later one stand.
        gaps: steps that no row was there for; their values are missing.
        unsorted: whether rows did not follow one another in time.
        missing: cells without a value by column, gaps not counted.
    """

    rows: int
    repeated: int = 0
    gaps: int = 0
    unsorted: bool = False
    missing: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Series:
    """One series, T even steps long.

    Attributes:
        name: unique_id, or the file's name where a file is one series.
        times: of its steps, [T], see `Times`.
        frequency: of its steps.
        values: by column float64 [T], NaN where missing.
        static: by column a category, a number, or None where missing.
        roles: of the columns.
        found: what was unusual.
        start: the first step that is asked about; those before it are there to be read.
        notes: what was unusual, in words.
        form: in which times were written, see `Times`.
    """

    name: str
    times: np.ndarray
    frequency: Frequency
    values: Mapping[str, np.ndarray]
    static: Mapping[str, str | float | None]
    roles: Roles
    found: Found
    start: int = 0
    notes: tuple[str, ...] = ()
    form: str | None = None

    def __len__(self) -> int:
        return len(self.times)

    @property
    def end(self) -> int:
        """Steps up to the last one with any target: where a forecast begins."""
        seen = np.zeros(len(self), bool)
        for name in self.roles.targets:
            seen |= ~np.isnan(self.values[name])
        return len(self) - int(seen[::-1].argmax()) if seen.any() else 0

    def cut(self, first: int, last: int, start: int) -> Series:
        """The steps from `first` to before `last`, asked about from `start` (of the whole series) on."""
        values = {name: column[first:last] for name, column in self.values.items()}
        return replace(self, times=self.times[first:last], values=values, start=start - first)


def read_series(paths: Sequence[Path], options: Options) -> Iterator[Example]:
    """The series of files, each file a table of its own; `Example.input` is a `Series`.

    Raises:
        DataError: see `read_frame`, `read_times` and `find_roles`; a static column that changes within a series; rows
            of one time in so many places that several series must stand in one.
    """
    for path in paths:
        frame = read_frame(path, KNOWN)
        if all(is_time_or_number(name) for name in frame.names):
            raise DataError(
                f"{Place(path, 1 if frame.lines else None)} holds {shown(frame.names[0])}, but names of columns were "
                "expected there; write them in a line of their own, such as ds,y."
            )
        roles = find_roles(frame, options)
        rows = _parse(frame, roles, roles.numbers, options.date_form)
        if options.future_values and not roles.future:
            raise DataError(f"{options.future_values} is given for future values, but no column is named by --future.")
        if options.future_values:
            rows = _with_future(rows, roles, options)
        yield from _by_series(rows, roles)


def first_origin(steps: int, lookback: int, horizon: int) -> int:
    """The first origin in a series of its own: after a whole look-back, or half the history where none is that long."""
    return lookback if steps >= lookback + horizon else max(1, (steps - horizon + 1) // 2)


@dataclass(frozen=True)
class _Rows:
    """Columns of a table, parsed; `own` marks rows of the table itself, not of a file of future values."""

    frame: Frame
    names: np.ndarray
    times: Times
    numbers: dict[str, np.ndarray]
    static: dict[str, list]
    own: np.ndarray

    def place(self, row: int, column: str | None = None) -> Place:
        return self.frame.place(row, column)


def _parse(frame: Frame, roles: Roles, wanted: Sequence[str], form: str) -> _Rows:
    count = len(frame.table)
    times = Times("whole", np.arange(count)) if roles.time is None else read_times(frame, roles.time, form)
    if roles.series is None:
        names = np.full(count, frame.path.name.split(".")[0], object)
    else:
        text = frame.table[roles.series]
        if text.null_count():
            row = int(text.is_null().to_numpy().argmax())
            raise DataError(f"{frame.place(row, roles.series)} is empty, but every row needs the name of its series.")
        names = text.to_numpy().astype(object)
    numbers = {name: frame.numbers(name) for name in wanted}
    static = {name: _static_column(frame, name) for name in roles.static if name in frame.names}
    return _Rows(frame, names, times, numbers, static, np.ones(count, bool))


def _static_column(frame: Frame, name: str) -> list:
    if frame.has_numbers(name):
        return [None if np.isnan(value) else float(value) for value in frame.numbers(name)]
    return frame.table[name].to_list()


def _with_future(rows: _Rows, roles: Roles, options: Options) -> _Rows:
    """Rows with those of the file of future values behind them, in which targets are missing."""
    frame = read_frame(options.future_values, KNOWN)
    for name in filter(None, (roles.time, roles.series, *roles.future)):
        frame.require(name, "what the history has under this name")
    if roles.time is None:
        raise DataError(f"{rows.frame.path} has no column of times, so {frame.path} cannot follow it; give both one.")
    later = _parse(frame, replace(roles, static=()), roles.future, options.date_form)
    if later.times.kind != rows.times.kind:
        raise DataError(
            f"{frame.path} has times of kind {later.times.kind}, {rows.frame.path} of kind {rows.times.kind}; write "
            "both alike."
        )
    count = len(later.times.values)
    empty = np.full(count, np.nan)
    numbers = {n: np.concatenate([column, later.numbers.get(n, empty)]) for n, column in rows.numbers.items()}
    values = np.concatenate([rows.times.values, later.times.values])
    # Without a column of series there is one, which is called after the history's file.
    names = later.names if roles.series is not None else np.resize(rows.names[:1], count)
    return _Rows(
        rows.frame,
        np.concatenate([rows.names, names]),
        replace(rows.times, values=values),
        numbers,
        {name: column + [None] * count for name, column in rows.static.items()},
        np.concatenate([rows.own, np.zeros(count, bool)]),
    )


def _by_series(rows: _Rows, roles: Roles) -> Iterator[Example]:
    known, codes = np.unique(rows.names.astype(str), return_inverse=True)
    order = np.lexsort((rows.times.values, codes))
    bounds = np.searchsorted(codes[order], np.arange(len(known) + 1))
    parts = [order[bounds[k] : bounds[k + 1]] for k in range(len(known))]
    _refuse_mixed(rows, roles, parts)
    grids = [_frequency(rows.times.values[part], rows.times.kind) for part in parts]
    common = Counter(grid for grid in grids if grid is not None).most_common(1)
    fallback = common[0][0] if common else None
    # In the order in which series begin in the file.
    for k in sorted(range(len(known)), key=lambda k: int(parts[k].min())):
        if rows.own[parts[k]].any():
            series = _series(str(known[k]), rows, roles, parts[k], grids[k] or fallback)
            yield Example(series, None, rows.place(int(parts[k][rows.own[parts[k]]].min())))


def _frequency(values: np.ndarray, kind: str) -> Frequency | None:
    values = np.unique(values)
    return infer_frequency(values, kind) if len(values) >= ENOUGH else None


def _refuse_mixed(rows: _Rows, roles: Roles, parts: list[np.ndarray]) -> None:
    count, first = 0, None
    for part in parts:
        part = part[rows.own[part]]
        same = rows.times.values[part][1:] == rows.times.values[part][:-1]
        differ = np.zeros(len(same), bool)
        for column in rows.numbers.values():
            differ |= column[part][1:] != column[part][:-1]
        if (same & differ).any() and first is None:
            first = int(part[1:][same & differ][0])
        count += int((same & differ).sum())
    if first is not None and count > MANY_REPEATS * rows.own.sum():
        raise DataError(
            f"{rows.place(first, roles.time)}: {_written(rows, first)} stands in a row before, as times do {count} "
            "times, with other values; name the column of the series' names by --series."
        )


def _written(rows: _Rows, row: int) -> str | int | float:
    return written(rows.times.values[row], rows.times.kind, form=rows.times.form)


def _series(name: str, rows: _Rows, roles: Roles, part: np.ndarray, frequency: Frequency | None) -> Series:
    own = part[rows.own[part]]
    times, inverse = np.unique(rows.times.values[part], return_inverse=True)
    kind = rows.times.kind
    grid = frequency or infer_frequency(times, kind)
    positions = grid.positions(times)
    # A short series may lie off the grid of the others.
    if positions is None or (np.diff(positions) <= 0).any():
        grid = infer_frequency(times, kind)
        positions = grid.positions(times)
    length = int(positions[-1]) + 1
    values = {}
    for column, numbers in rows.numbers.items():
        values[column] = np.full(length, np.nan)
        held = ~np.isnan(numbers[part])
        # Assignments follow the order of the file, so the last row with a value stands.
        values[column][positions[inverse[held]]] = numbers[part][held]
    steps = times if length == len(times) else np.concatenate([times[:1], grid.after(times[0], length - 1)])
    own_times = rows.times.values[own]
    found = Found(
        rows=len(own),
        repeated=len(own) - len(np.unique(own_times)),
        gaps=length - len(times),
        unsorted=bool((np.diff(own) < 0).any()),
        missing={column: int(np.isnan(numbers[own]).sum()) for column, numbers in rows.numbers.items()},
    )
    static = {column: _one_value(rows, column, own) for column in roles.static}
    notes = _notes(found, grid, rows.times, roles)
    return Series(name, steps, grid, values, static, roles, found, notes=notes, form=rows.times.form)


def _one_value(rows: _Rows, column: str, part: np.ndarray) -> str | float | None:
    held = [(int(row), rows.static[column][row]) for row in np.sort(part) if rows.static[column][row] is not None]
    other = next((row for row, value in held if value != held[0][1]), None)
    if other is not None:
        raise DataError(
            f"{rows.place(other, column)}: {rows.static[column][other]!r} differs from {held[0][1]!r} in line "
            f"{rows.place(held[0][0]).line}, but a static column says one thing of a whole series; give it as --past "
            "or --future."
        )
    return held[0][1] if held else None


def _notes(found: Found, grid: Frequency, times: Times, roles: Roles) -> tuple[str, ...]:
    notes = list(roles.notes)
    if found.unsorted:
        notes.append("rows did not follow one another in time and were sorted")
    if found.repeated:
        notes.append(f"{found.repeated} rows repeat the time of another; the later row stands")
    if found.gaps:
        notes.append(f"{found.gaps} steps have no row; their values count as missing")
    if grid.unit == "row":
        notes.append("steps between times are irregular; rows count as steps")
    if times.either_way:
        notes.append(f"day and month could change places in all dates; they were read as {times.form} (see date_form)")
    if times.form in EPOCHS:
        notes.append(f"times are {times.form} since 1970")
    if times.form in ZONES:
        notes.append("times have zones; they are told in UTC")
    missing = {name: count for name, count in found.missing.items() if count}
    if missing:
        notes.append("missing values: " + ", ".join(f"{count} of {name}" for name, count in list(missing.items())[:10]))
    return tuple(notes)
