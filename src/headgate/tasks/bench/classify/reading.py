"""Users' files to texts or series with their labels; and which column is which."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headgate.data import DataError, Example
from headgate.data.example import Place
from headgate.data.nested import ABSENT, find
from headgate.data.series import idx_series, is_idx, is_idx_labels, npz_series, ts_series
from headgate.data.series_tables import file_series, listed_series, long_series, numeric_columns, wide_series
from headgate.data.tables import BY_LINE, Table, open_table
from headgate.tasks.bench.classify.options import Options
from headgate.tasks.bench_task import Fit

# What columns are usually called, the surest first.
TEXTS = ("text", "sentence", "utterance", "review", "comment", "tweet", "message", "content", "verse", "document")
TEXTS += ("body", "question", "query", "headline", "title", "phrase", "description", "input")
LABELS = ("label", "labels", "class", "classes", "category", "categories", "target", "sentiment", "intent", "topic")
LABELS += ("emotion", "polarity", "rating", "stars", "service", "services", "y", "output")
IDS = ("series_id", "series", "unique_id", "case_id", "case", "sequence_id", "sequence", "sample_id", "recording", "id")
TIMES = ("time", "t", "step", "timestamp", "datetime", "date", "ds", "dim_time", "index")
LISTS = ("series", "values", "signal", "x", "channels", "data")
KNOWN = frozenset((*TEXTS, *LABELS, *IDS, *TIMES))


@dataclass(frozen=True)
class Roles:
    """Which column of a table is what.

    Attributes:
        form: "text", "listed" (series in lists), "long" (one step a row), "wide" (one series a row), "file" (one series
            a file, its label the name of its folder).
        input: the column of the text or list.
        label: "" where there is none.
        id, time: of a long table.
        channels: columns of numbers.
        sure: whether names said so, not content.
    """

    form: str
    input: str = ""
    label: str = ""
    id: str = ""
    time: str = ""
    channels: tuple[str, ...] = ()
    sure: bool = True

    @property
    def words(self) -> str:
        """What was found, as a clause."""
        labels = f", labels in column {self.label}" if self.label else ""
        return {
            "text": f"it has texts in column {self.input}{labels}",
            "listed": f"it has series in column {self.input}{labels}",
            "long": f"it has a step of a series a row, told apart by column {self.id}{labels}",
            "wide": f"it has a series of {len(self.channels)} numbers a row{labels}",
            "file": "it is one series, labelled by the name of its folder",
        }[self.form]


def read(paths: Sequence[Path], options: Options, answers: bool) -> Iterator[Example]:
    """See `BenchTask.read`."""
    idx = {path for path in paths if is_idx(path)}
    for path in paths:
        if path in idx:
            if not is_idx_labels(path) or len(paths) == 1:
                yield from idx_series(path, answers)
        elif _plain_name(path).endswith(".ts"):
            yield from ts_series(path, options.encoding, answers)
        elif _plain_name(path).endswith(".npz"):
            yield from npz_series(path, answers)
        else:
            yield from _of_table(path, options, answers)


def fits(path: Path, options: Options) -> Fit:
    """See `BenchTask.fits`."""
    try:
        if is_idx(path):
            return Fit(0.95, "it is an idx file")
        if _plain_name(path).endswith((".ts", ".npz")):
            next(read([path], options, True))
            return Fit(0.95, "it has labelled series")
        table = _opened(path, options)
        roles = _roles(table, options, True)
    except (DataError, LookupError, OSError, StopIteration) as reason:
        return Fit(0.0, str(reason))
    if table.form == "fasttext":
        return Fit(1.0, "its lines begin with __label__")
    if options.text_column or options.label_column:
        return Fit(0.9, roles.words)
    sureness = {"text": 0.9, "listed": 0.8, "long": 0.6, "wide": 0.3, "file": 0.1}[roles.form]
    return Fit(sureness if roles.sure else sureness / 3, roles.words)


def by_line(path: Path, options: Options) -> Options | None:
    """See `BenchTask.by_line`."""
    try:
        table = _opened(path, options)
        roles = _roles(table, options, False)
    except (DataError, LookupError, OSError):
        return None
    alone = table.form in BY_LINE and roles.form in ("text", "listed")
    return replace(options, text_column=roles.input) if alone else None


def _plain_name(path: Path) -> str:
    return path.name.lower().removesuffix(".gz")


def _opened(path: Path, options: Options) -> Table:
    header = {"guess": None, "yes": True, "no": False}[options.header]
    given = {options.text_column, options.label_column, options.id_column, options.time_column}
    known = KNOWN | {name.lower() for name in given if name}
    return open_table(path, header, options.encoding, options.records, known)


def _of_table(path: Path, options: Options, answers: bool) -> Iterator[Example]:
    table = _opened(path, options)
    roles = _roles(table, options, answers)
    if roles.form == "file":
        label = path.resolve().parent.name
        yield file_series(table, roles.channels, label if answers else None)
        return

    def label(values: dict[str, Any], place: Place) -> str | list[str] | None:
        return _label(values, place, roles.label, options.label_separator, answers)

    if roles.form == "text":
        for values, place in table:
            yield Example(_text(values, place, roles.input), label(values, place), place)
    elif roles.form == "listed":
        yield from listed_series(iter(table), roles.input, label)
    elif roles.form == "long":
        yield from long_series(table, roles.id, roles.time, roles.channels, label)
    else:
        yield from wide_series(table, roles.channels, label)


# --- which column is which


def _roles(table: Table, options: Options, answers: bool) -> Roles:
    label = _column(table, options.label_column, LABELS)
    if options.label_column and not label and answers:
        raise DataError(_no_column(table, options.label_column, "label_column"))
    text = _column(table, options.text_column, () if options.id_column or options.channels else TEXTS)
    if options.text_column and not text:
        raise DataError(_no_column(table, options.text_column, "text_column"))
    roles = _series_roles(table, options, label) if not text else None
    if roles is None:
        sure = bool(text and label)
        text = text or _texts_by_content(table, label, options.label_column)
        label = label or (_labels_by_content(table, text) if answers else "")
        listed = any(isinstance(find(values, text), list) for values, _ in table.sample())
        roles = Roles("listed" if listed else "text", text, label, sure=sure)
    if answers and not roles.label and roles.form != "file":
        raise DataError(
            f"{table.path} has no column of labels; its columns are {_named(table)}. Name one with label_column."
        )
    return roles


def _series_roles(table: Table, options: Options, label: str) -> Roles | None:
    """None where this is no table of series."""
    listed = _column(table, "", LISTS)
    if listed and isinstance(find(table.sample()[0][0], listed), list):
        return Roles("listed", listed, label)
    id, time = _column(table, options.id_column, IDS), _column(table, options.time_column, TIMES)
    for given, found, name in ((options.id_column, id, "id_column"), (options.time_column, time, "time_column")):
        if given and not found:
            raise DataError(_no_column(table, given, name))
    left = [name for name in table.columns if name not in (id, time, label)]
    chosen = [name.strip() for name in options.channels.split(",") if name.strip()]
    absent = next((name for name in chosen if name not in table.columns), None)
    if absent is not None:
        raise DataError(_no_column(table, absent, "channels"))
    numeric = set(numeric_columns(table))
    if not left or not (set(left) <= numeric or chosen or options.id_column):
        return None
    channels = tuple(chosen or left)
    if id and (options.id_column or _repeats(table, id)):
        return Roles("long", label=label, id=id, time=time, channels=channels)
    if label:
        return Roles("wide", label=label, channels=channels)
    return Roles("file", channels=channels, time=time) if table.header or not chosen else None


def _column(table: Table, given: str, usual: Sequence[str]) -> str:
    """The column given, or the first one usual; "" if it is not there."""
    if given:
        there = given in table.columns or any(find(values, given) is not ABSENT for values, _ in table.sample())
        return given if there else ""
    small = {name.lower(): name for name in reversed(table.columns)}
    return next((small[name] for name in usual if name in small), "")


def _repeats(table: Table, column: str) -> bool:
    cells = [str(values.get(column)) for values, _ in table.sample()]
    return len(set(cells)) < len(cells)


def _texts_by_content(table: Table, label: str, label_given: str) -> str:
    """The column with the longest strings that are no numbers."""
    found = dict.fromkeys(set(table.columns) - {label, label_given, *numeric_columns(table)}, 0)
    for name in found:
        found[name] = sum(len(v[name]) for v, _ in table.sample() if isinstance(v.get(name), str))
    if not any(found.values()):
        raise DataError(
            f"{table.path} has no column of texts; its columns are {_named(table)}. Name one with text_column."
        )
    return max(table.columns, key=lambda name: found.get(name, -1))


def _labels_by_content(table: Table, text: str) -> str:
    """The column with the fewest different values, which come again; "" if there is none."""
    rows = len(table.sample())
    different = {
        name: len({json.dumps(values.get(name), default=str) for values, _ in table.sample()})
        for name in table.columns
        if name != text
    }
    found = {name: count for name, count in different.items() if count <= max(2, rows / 2)}
    return min(found, key=lambda name: (found[name], -list(table.columns).index(name))) if found else ""


def _no_column(table: Table, name: str, option: str) -> str:
    return f"{table.path}: {option}={name!r} is no column; its columns are {_named(table)}."


def _named(table: Table) -> str:
    more = " ..." if len(table.columns) > 12 else ""
    return f"{', '.join(repr(name) for name in table.columns[:12])}{more}"


# --- one cell


def _text(values: dict[str, Any], place: Place, column: str) -> str:
    value = find(values, column)
    if value is ABSENT:
        raise DataError(f"{place} has no {column!r}; give every row a text.")
    if isinstance(value, (dict, list)):
        raise DataError(f"{Place(place.file, place.line, column)}: a list or an object came, but a text was expected.")
    return "" if value is None else str(value)


def _label(
    values: dict[str, Any], place: Place, column: str, separator: str, answers: bool
) -> str | list[str] | None:
    value = find(values, column) if column else ABSENT
    here = Place(place.file, place.line, column or place.column)
    if isinstance(value, list):
        return [_one_label(part, here) for part in value]
    if isinstance(value, dict):
        raise DataError(f"{here}: an object came, but a label was expected; say which field, as in {column}.name.")
    if separator and value is not ABSENT and value is not None:
        return [part.strip() for part in str(value).split(separator) if part.strip()]
    if value is ABSENT or value is None or not str(value).strip():
        if answers:
            raise DataError(f"{here}: the label is missing; give one, or leave the row out.")
        return None
    return _one_label(value, here)


def _one_label(value: Any, place: Place) -> str:
    if isinstance(value, (dict, list)) or value is None or not str(value).strip():
        raise DataError(f"{place}: a label is missing or no text.")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
