"""Which column of a table is what: as told, or guessed from names and cells."""

from __future__ import annotations

from dataclasses import dataclass

from headgate.data import DataError
from headgate.data.frames import Frame
from headgate.data.times import looks_like_times
from headgate.tasks.bench.forecast.options import Options, columns

TIMES = ("ds", "date", "datetime", "timestamp", "time", "period")
# Numbers under these names count steps, where no column holds dates.
COUNTERS = ("t", "step", "index", "year", "month", "week", "day", "hour")
SERIES = ("unique_id", "series_id", "item_id", "ts_id", "series", "id")
TARGET = "y"
KNOWN = frozenset((*TIMES, *SERIES, TARGET))
# What programs call a column that only numbers rows.
UNNAMED = ("", "unnamed: 0", "index", "__index_level_0__")


@dataclass(frozen=True)
class Roles:
    """What the columns of a table are.

    Attributes:
        time: of times; None where rows are steps.
        series: of the names of series in a long table; None in a wide one.
        targets, past, future, static: see `Options`.
        notes: what was left out, and why.
    """

    time: str | None
    series: str | None
    targets: tuple[str, ...]
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def numbers(self) -> tuple[str, ...]:
        """Columns with a number for every step."""
        return self.targets + self.past + self.future


def find_roles(frame: Frame, options: Options) -> Roles:
    """The columns' roles: as `options` say, or guessed.

    Raises:
        DataError: a column that was named is not there, or none holds numbers to forecast.
    """
    given = {role: tuple(columns(getattr(options, role))) for role in ("target", "past", "future", "static")}
    for role, names in given.items():
        for name in names:
            frame.require(name, f"a {role} column" if role == "target" else f"a {role}-known column")
    taken = {name for names in given.values() for name in names}
    time = _one(frame, options.time, "times") or _guess_time(frame, taken)
    series = _one(frame, options.series, "the names of series") or _guess_series(frame, taken | {time})
    targets, notes = given["target"], ()
    if not targets:
        targets, notes = _guess_targets(frame, taken | {time, series})
    if time is None:
        notes = (*notes, "no column holds times, so rows count as steps 0, 1, 2, ...")
    return Roles(time, series, targets, given["past"], given["future"], given["static"], notes)


def _one(frame: Frame, name: str, meant: str) -> str | None:
    if name:
        frame.require(name, meant)
    return name or None


def _named(frame: Frame, known: tuple[str, ...], taken: set[str | None]) -> str | None:
    by_name = {name.lower(): name for name in reversed(frame.names) if name not in taken}
    return next((by_name[name] for name in known if name in by_name), None)


def _guess_time(frame: Frame, taken: set[str]) -> str | None:
    named = _named(frame, TIMES, taken)
    dated = (name for name in frame.names if name not in taken and looks_like_times(frame, name))
    return named or next(dated, None) or _named(frame, COUNTERS, taken)


def _guess_series(frame: Frame, taken: set[str | None]) -> str | None:
    name = _named(frame, SERIES, taken)
    # A number for each row names rows, not series.
    if name is None or name == SERIES[0] or frame.table[name].n_unique() < len(frame.table):
        return name
    return None


def _guess_targets(frame: Frame, taken: set[str | None]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    named = _named(frame, (TARGET,), taken)
    free = [name for name in frame.names if name not in taken and name.lower() not in UNNAMED]
    if named is not None:
        left = [name for name in free if name != named]
        some = f"{', '.join(left[:10])} {'is' if len(left) == 1 else 'are'} not read"
        said = f"{some}; past, future and static name what is"
        return (named,), (said,) if left else ()
    found = tuple(name for name in free if frame.has_numbers(name))
    if not found:
        raise DataError(
            f"{frame.path} has no column of numbers to forecast; its columns are {', '.join(frame.names[:20])}. Name "
            "one with --target."
        )
    left = [name for name in free if name not in found]
    notes = (f"{', '.join(left[:10])} hold{'s' if len(left) == 1 else ''} text and is left out",) if left else ()
    return found, notes
