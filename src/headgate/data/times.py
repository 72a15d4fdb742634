"""Times of series: dates of common forms and numbers, the steps between them, and what a calendar says of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from headgate.data.example import DataError
from headgate.data.frames import Frame, is_number, shown

MICROSECONDS = 1_000_000
DAY = 86_400 * MICROSECONDS
# Forms of dates, tried in this order; the first that most cells have is the column's.
DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y%m%d",
    "%b %d %Y", "%b %d, %Y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y",
)  # fmt: skip
# Forms of months, which stand for their first days.
MONTHS = ("%Y-%m", "%Y/%m", "%b %Y", "%b-%Y", "%B %Y", "%m/%Y")
HOURS = (" %H:%M:%S%.f", " %H:%M", "T%H:%M:%S%.f", "T%H:%M", " %I:%M:%S %p", " %I:%M %p")
ZONES = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z")
# Whole numbers that are times since 1970: how many microseconds each counts. As dates they lie between these years.
EPOCHS = {"seconds": MICROSECONDS, "milliseconds": 1_000, "microseconds": 1}
EPOCH_YEARS = "1980", "2100"
# No year before this one: a sign of another form.
EARLIEST = 1000
# How the parts of a form look.
SIGNS = {"%Y": r"\d{4}", "%y": r"\d\d", "%b": "[A-Za-z]{3}", "%B": "[A-Za-z]{3,9}", "%p": "[AaPp][Mm]"}
SIGNS |= {"%.f": r"(\.\d+)?", "%#z": r"(Z|z|[+-]\d\d(:?\d\d)?)"}
SIGNS |= dict.fromkeys(("%m", "%d", "%H", "%I", "%M", "%S"), r"\d{1,2}")
SAMPLE = 50
# So many times as many steps as rows at most: more gaps than that, and rows are taken as they follow one another.
SPARSEST = 3
MOST_STEPS = 2**53
# Rows from which a week without its weekend counts as a week of five days.
ENOUGH_FOR_WEEKS = 6


@dataclass(frozen=True)
class Times:
    """The times of rows.

    Attributes:
        kind: "date" (microseconds since 1970, in UTC where a zone was given), "whole" or "number".
        values: int64 for dates and whole numbers, else float64; [rows].
        form: how dates were written, as strftime has it, or one of EPOCHS; None for numbers.
        either_way: whether day and month could change places in all of them.
    """

    kind: str
    values: np.ndarray
    form: str | None = None
    either_way: bool = False


@dataclass(frozen=True)
class Frequency:
    """The step from one time to the next.

    Attributes:
        kind: of the times, see `Times`.
        unit: "microsecond", "month", "month end", "business day", "number"; "row" where steps are irregular.
        size: of a step, in units; the median, like `Times.values`, where steps are irregular.
    """

    kind: str
    unit: str
    size: float = 1

    def positions(self, values: np.ndarray) -> np.ndarray | None:
        """Of sorted times, how many steps each is after the first, int64 [T]; None where they lie on no grid."""
        if self.unit == "row":
            return np.arange(len(values))
        counted = self._units(values)
        steps = (counted - counted[0]) / self.size
        whole = np.rint(steps)
        if np.abs(whole).max() > MOST_STEPS:
            return None
        return whole.astype(np.int64) if np.abs(steps - whole).max(initial=0) < 1e-6 else None

    def after(self, last: float, count: int) -> np.ndarray:
        """The `count` times that follow `last`, like `Times.values`; irregular steps go on with their median."""
        ahead = np.arange(1, count + 1)
        if self.unit == "microsecond":
            return last + ahead * np.int64(self.size)
        if self.unit in ("month", "month end"):
            return np.array([_months_after(int(last), int(self.size * k), self.unit == "month end") for k in ahead])
        if self.unit == "business day":
            day = np.datetime64(int(last) // DAY, "D")
            days = np.busday_offset(day, ahead * int(self.size), roll="backward").astype(np.int64)
            return days * DAY + int(last) % DAY
        return last + ahead * (np.int64(self.size) if self.kind != "number" else self.size)

    @property
    def season(self) -> int:
        """Steps after which a cycle of the calendar comes round: day, week or year; 1 where none does."""
        if self.unit == "business day":
            return 5
        if self.unit in ("month", "month end"):
            return max(1, 12 // int(self.size)) if 12 % int(self.size) == 0 else 1
        if self.unit != "microsecond":
            return 1
        if self.size == 7 * DAY:
            return 52
        rounds = (7 * DAY if self.size == DAY else DAY) / self.size
        return int(rounds) if rounds >= 2 and rounds == int(rounds) else 1

    @property
    def words(self) -> str:
        """As a report says it: "every 1 h", "monthly", "irregular"."""
        if self.unit == "row":
            return "irregular"
        if self.unit == "microsecond":
            names = {DAY: "d", 3600 * MICROSECONDS: "h", 60 * MICROSECONDS: "min", MICROSECONDS: "s", 1: "µs"}
            part = next(part for part in names if self.size % part == 0)
            return f"every {int(self.size // part)} {names[part]}"
        if self.unit == "number":
            return f"every {self.size:g}"
        return f"every {self.size:g} {self.unit}{'s' if self.size != 1 else ''}"

    def as_json(self) -> dict[str, Any]:
        """Its fields, for an encoding."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Frequency:
        """What `as_json` gave."""
        return cls(**fields)

    def _units(self, values: np.ndarray) -> np.ndarray:
        if self.unit in ("month", "month end"):
            return _month_numbers(values).astype(np.float64)
        if self.unit == "business day":
            days = (values // DAY).astype("datetime64[D]")
            return np.busday_count(days[0], days).astype(np.float64)
        return values.astype(np.float64) - float(values[0]) if self.kind == "number" else values - values[0]


def infer_frequency(values: np.ndarray, kind: str) -> Frequency:
    """The step of sorted times without duplicates: the commonest, if all of them lie on its grid; else irregular."""
    gaps = np.diff(values)
    if len(gaps) == 0:
        return Frequency(kind, "number" if kind != "date" else "microsecond", 1 if kind != "date" else DAY)
    candidates = [_monthly(values, gaps), _business(values, gaps)] if kind == "date" else []
    unit = "microsecond" if kind == "date" else "number"
    candidates.append(Frequency(kind, unit, _commonest(gaps)))
    for frequency in filter(None, candidates):
        positions = frequency.positions(values)
        if positions is not None and (np.diff(positions) > 0).all() and positions[-1] < SPARSEST * len(values):
            return frequency
    return Frequency(kind, "row", float(np.median(gaps)))


def read_times(frame: Frame, name: str, form: str = "") -> Times:
    """A column of times.

    Args:
        frame, name: where.
        form: how they are written, as strftime has it; empty to look.

    Raises:
        DataError: a cell is missing, or no time of the form that most cells have; said with line and column.
    """
    text = frame.table[name]
    if text.null_count():
        row = int(text.is_null().to_numpy().argmax())
        raise DataError(f"{frame.place(row, name)} is empty, but every row needs a time.")
    found = _as_dates(text) if not form else (form, _parsed(text, form), False)
    if found is not None:
        form, parsed, either_way = found
        wrong = parsed.is_null().to_numpy()
        if wrong.all():
            raise DataError(
                f"{frame.place(0, name)}: {shown(text[0])} is no time in the form {form}, nor is any other; say theirs."
            )
        if wrong.any():
            row = int(wrong.argmax())
            raise DataError(
                f"{frame.place(row, name)}: {shown(text[row])} is no time like the others, as in "
                f"{shown(text[int((~wrong).argmax())])}; mend it."
            )
        return Times("date", _microseconds(parsed), form, either_way)
    if not frame.has_numbers(name):
        raise DataError(
            f"{frame.place(0, name)}: {shown(text[0])} is no time that is known here, or others are written otherwise; "
            "write all alike, as 2024-12-31 or 2024-12-31 18:00:00."
        )
    values = frame.numbers(name)
    whole = np.abs(values).max() < 2**53 and (values == np.rint(values)).all()
    epoch = _epoch(values) if whole else None
    if epoch is not None:
        return Times("date", values.astype(np.int64) * EPOCHS[epoch], epoch)
    return Times("whole", values.astype(np.int64)) if whole else Times("number", values)


def _epoch(values: np.ndarray) -> str | None:
    """Which of EPOCHS whole numbers count, if they can be nothing else."""
    first, last = (np.datetime64(year, "us").astype(np.int64) for year in EPOCH_YEARS)
    fitting = (name for name, size in EPOCHS.items() if first <= values.min() * size and values.max() * size < last)
    return next(fitting, None)


def looks_like_times(frame: Frame, name: str) -> bool:
    """Whether most cells of a column are dates."""
    return _as_dates(frame.table[name].head(1000)) is not None


def is_time_or_number(cell: str) -> bool:
    """Whether a cell is one of a row, and no name of a column."""
    return is_number(cell) or _as_dates(pl.Series([cell])) is not None


def written(value: float, kind: str, whole_days: bool = False, form: str | None = None) -> str | int | float:
    """A time as an answer gives it: an ISO date, with its zone where the column had zones, or a number.

    Args:
        value: one of `Times.values`.
        kind: of the times.
        whole_days: write the day alone.
        form: of the times.
    """
    if kind != "date":
        return int(value) if kind == "whole" else float(value)
    if form in EPOCHS:
        return int(value) // EPOCHS[form]
    if form in ZONES:
        return f"{np.datetime_as_string(np.datetime64(int(value), 'us'), 's')}+00:00".replace("T", " ")
    text = np.datetime_as_string(np.datetime64(int(value), "us"), "D" if whole_days else "s")
    return str(text).replace("T", " ")


def calendar_names(frequency: Frequency) -> list[str]:
    """The cycles of the calendar that steps of this frequency go through: those longer than a step."""
    if frequency.kind != "date":
        return []
    longer = {"business day": DAY, "month": 28 * DAY, "month end": 28 * DAY}
    step = longer.get(frequency.unit, 1) * frequency.size
    cycles = {"day": DAY, "week": 7 * DAY, "year": 365 * DAY}
    return [name for name, length in cycles.items() if step < length]


def calendar(values: np.ndarray, names: list[str]) -> np.ndarray:
    """Where dates stand in cycles of the calendar: sine and cosine of each, float32 [T, 2 x cycles]."""
    days = (values // DAY).astype("datetime64[D]")
    of_day = (values % DAY) / DAY
    shares = {
        "day": of_day,
        "week": ((days.astype(np.int64) + 3) % 7 + of_day) / 7,
        "year": ((days - days.astype("datetime64[Y]")).astype(np.int64) + of_day) / 365.25,
    }
    angles = [2 * np.pi * shares[name] for name in names]
    waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.stack(waves, 1).astype(np.float32) if waves else np.empty((len(values), 0), np.float32)


# --- dates in text --------------------------------------------------------------------------------------------------


def _as_dates(text: pl.Series) -> tuple[str, pl.Series, bool] | None:
    """The form that most cells have, what it reads, and whether day and month could be exchanged."""
    held = text.drop_nulls()
    if not len(held):
        return None
    sample = held.head(SAMPLE).to_list()
    # Cells that differ in their digits alone look alike.
    looks = Counter(re.sub(r"\d", "0", cell) for cell in sample)
    alike = {f: sum(looks[look] for look in looks if shape.fullmatch(look)) for f, shape in _shapes().items()}
    likely = [form for form, count in alike.items() if count > len(sample) / 2]
    found = [(form, _parsed(text, form)) for form in likely]
    found = [(form, parsed) for form, parsed in found if parsed.is_not_null().mean() > 0.5]
    if not found:
        return None
    best = max(found, key=lambda pair: (_filled(pair[1]), _steady(pair[1])))
    # Numbers of eight digits are dates only if all of them are.
    if best[0] == "%Y%m%d" and best[1].null_count() > text.null_count():
        return None
    rivals = [form for form, parsed in found if _filled(parsed) == _filled(best[1]) and form != best[0]]
    exchanged = any(form.replace("%d", "%m", 1) != form and {"%d", "%m"} <= _signs(form) for form in rivals)
    return best[0], best[1], exchanged and _signs(best[0]) >= {"%d", "%m"}


@cache
def _shapes() -> dict[str, re.Pattern[str]]:
    """What each form looks like: most are told apart without reading any date."""
    forms = [date + hour for date in DATES for hour in ("", *HOURS)] + list(MONTHS) + list(ZONES)
    # Points between parts are points; that of "%.f" belongs to its sign.
    dotted = {form: re.sub(r"(?<!%)\.", r"\\.", form) for form in forms}
    return {form: re.compile(re.sub(r"%[.#]?\w", lambda sign: SIGNS[sign[0]], text)) for form, text in dotted.items()}


def _signs(form: str) -> set[str]:
    return {form[k : k + 2] for k, sign in enumerate(form) if sign == "%"}


def _parsed(text: pl.Series, form: str) -> pl.Series:
    form, cells = (f"%d {form}", "01 " + text) if form in MONTHS else (form, text)
    if form.startswith("%Y%m%d"):
        cells = pl.select(pl.when(text.str.contains(r"^(19|20)\d{6}")).then(text)).to_series()
    zoned = form.endswith("%#z")
    try:
        parsed = cells.str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC" if zoned else None)
    except pl.exceptions.PolarsError:
        return pl.Series([None] * len(text), dtype=pl.Datetime("us"))
    parsed = parsed.dt.replace_time_zone(None) if zoned else parsed
    return parsed.set(parsed.dt.year() < EARLIEST, None)


def _filled(parsed: pl.Series) -> int:
    return len(parsed) - parsed.null_count()


def _steady(parsed: pl.Series) -> tuple[bool, float]:
    """Whether times lie on a grid, and how few kinds of step there are, negated.

    Where day and month could be exchanged, the right order has the grid, or fewer kinds. First days of months have four
    kinds; in the wrong order they are twelve days of a January and a leap to the next, which are three.
    """
    held = parsed.drop_nulls().cast(pl.Int64)
    gaps, values = held.diff().drop_nulls(), held.unique().sort().to_numpy()
    even = len(values) > 1 and infer_frequency(values, "date").unit != "row"
    return even, -gaps.n_unique() / max(1, len(gaps))


def _microseconds(parsed: pl.Series) -> np.ndarray:
    return parsed.cast(pl.Int64).to_numpy().astype(np.int64)


# --- steps ----------------------------------------------------------------------------------------------------------


def _commonest(gaps: np.ndarray) -> float:
    kinds, counts = np.unique(gaps if gaps.dtype.kind == "i" else gaps.round(9), return_counts=True)
    return kinds[counts.argmax()].item()


def _month_numbers(values: np.ndarray) -> np.ndarray:
    return values.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)


def _monthly(values: np.ndarray, gaps: np.ndarray) -> Frequency | None:
    if gaps.min() < 28 * DAY:
        return None
    days, months = values // DAY, _month_numbers(values)
    within = days - months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    next_day = (days + 1).astype("datetime64[D]")
    ends = (next_day == next_day.astype("datetime64[M]").astype("datetime64[D]")).all()
    if (values % DAY != values[0] % DAY).any() or not (ends or (within == within[0]).all()):
        return None
    return Frequency("date", "month end" if ends else "month", _commonest(np.diff(months)))


def _business(values: np.ndarray, gaps: np.ndarray) -> Frequency | None:
    days = (values // DAY).astype("datetime64[D]")
    crossed = (gaps == 3 * DAY).any() and _commonest(gaps) == DAY
    if len(values) < ENOUGH_FOR_WEEKS or not crossed or not np.is_busday(days).all():
        return None
    return Frequency("date", "business day") if (values % DAY == values[0] % DAY).all() else None


def _months_after(value: int, months: int, at_end: bool) -> int:
    day = np.datetime64(value // DAY, "D")
    month = day.astype("datetime64[M]")
    first = (month + months).astype("datetime64[D]")
    last = (month + months + 1).astype("datetime64[D]") - 1
    moved = last if at_end else min(first + (day - month.astype("datetime64[D]")), last)
    return int(moved.astype(np.int64)) * DAY + value % DAY
