"""Rows of a table: CSV, TSV, JSON, JSON lines, Parquet, fastText lines, or one text a line."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from headgate.data.example import DataError, Place
from headgate.data.nested import SomeRows, json_lines, json_rows
from headgate.data.parquet import parquet_rows
from headgate.data.text import LONGEST_LINE, lines

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "json lines",
    ".ndjson": "json lines",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".lines": "lines",
}
# The forms in which a line by itself, without those before it, is a row.
BY_LINE = ("json lines", "lines", "fasttext")
FASTTEXT = "__label__"
SEPARATORS = ",;\t|"
# So many rows say what a column holds.
SAMPLE = 200
LONGEST_NAME = 64

# The csv module has one limit for a whole process, by default shorter than a document is.
csv.field_size_limit(LONGEST_LINE)


@dataclass(frozen=True)
class Table:
    """Rows with named columns; going through it again reads the file again.

    Attributes:
        path: the file.
        form: one of the values of SUFFIXES, "fasttext" or "lines".
        columns: their names; numbers from 1 where the file has no header; of JSON, what its first rows have.
        header: whether the first line of the file is no row but names the columns.
        separator: between cells, of CSV.
        encoding: of text.
        records: path to the rows inside JSON.
    """

    path: Path
    form: str
    columns: tuple[str, ...] = ()
    header: bool = False
    separator: str = ","
    encoding: str = "utf-8"
    records: str = ""
    _sample: list[tuple[dict[str, Any], Place]] = field(default_factory=list, repr=False, compare=False)

    def __iter__(self) -> SomeRows:
        """Each row's values by column (strings, or what JSON and Parquet have) and its place.

        Raises:
            DataError: the file or a row cannot be used.
        """
        if self.form not in ("csv", "tsv"):
            yield from _rows(self.path, self.form, self.encoding, self.records)
            return
        width = len(self.columns)
        records = _cells(self.path, self.form, self.separator, self.encoding)
        for cells, place in islice(records, 1 if self.header else 0, None):
            if len(cells) != width:
                like = "the header names" if self.header else "the first row has"
                raise DataError(
                    f"{place} has {len(cells)} cells, but {like} {width} columns; put a cell that holds the separator "
                    f"{self.separator!r} in double quotes."
                )
            yield dict(zip(self.columns, cells, strict=True)), place

    def sample(self) -> list[tuple[dict[str, Any], Place]]:
        """The first rows, at most SAMPLE."""
        if not self._sample:
            self._sample.extend(islice(self, SAMPLE))
        return self._sample


def open_table(
    path: str | Path,
    header: bool | None = None,
    encoding: str = "utf-8",
    records: str = "",
    known: frozenset[str] = frozenset(),
) -> Table:
    """A table, its form told by its name, or by its first line where the name says nothing.

    Args:
        path: the file; text may be compressed with gzip.
        header: whether the first line names the columns; None to look: it does where one of its cells is a name that is
            known, or where all cells are short, different, no numbers, and none comes again in its own column.
        encoding: of text.
        records: dotted path to the rows inside JSON, as in "turns"; see `json_rows`.
        known: names that columns are expected to have, in small letters.

    Raises:
        DataError: the file cannot be read, has no row, or names a column twice.
    """
    path = Path(path)
    form = form_of(path, encoding, known)
    if form in ("csv", "tsv"):
        return _separated(path, form, header, encoding, known)
    table = Table(path, form, encoding=encoding, records=records)
    if not table.sample():
        raise DataError(f"{path} holds no rows; give a file with at least one.")
    names = dict.fromkeys(name for values, _ in table.sample() for name in values)
    return Table(path, form, tuple(names), encoding=encoding, records=records, _sample=table.sample())


def form_of(path: Path, encoding: str = "utf-8", known: frozenset[str] = frozenset()) -> str:
    """What kind of table a file is."""
    named = SUFFIXES.get(Path(path.name.lower().removesuffix(".gz")).suffix)
    if named == "parquet":
        return named
    some = (line.strip() for line in lines(path, encoding))
    first, second = (next((line for line in some if line), "") for _ in range(2))
    if first.startswith(FASTTEXT):
        return "fasttext"
    if named == "json":
        return "json lines" if _whole_object(first) and second.startswith("{") else "json"
    if named is not None:
        return named
    if first.startswith("{"):
        return "json lines" if _whole_object(first) else "json"
    if first.startswith("["):
        return "json" if first == "[" or first.startswith(("[{", "[ {")) else "lines"
    if "\t" in first:
        return "tsv"
    named_cells = {cell.strip(' "').lower() for cell in re.split("[,;|]", first)}
    return "csv" if len(named_cells) > 1 and named_cells & known else "lines"


def _whole_object(line: str) -> bool:
    return line.startswith("{") and line.endswith("}")


def _rows(path: Path, form: str, encoding: str, records: str) -> SomeRows:
    if form == "json lines":
        return json_lines(path, encoding, records)
    if form == "json":
        return json_rows(path, encoding, records)
    if form == "parquet":
        return parquet_rows(path)
    return _fasttext(path, encoding) if form == "fasttext" else _plain(path, encoding)


# --- text with separators


def _separated(path: Path, form: str, header: bool | None, encoding: str, known: frozenset[str]) -> Table:
    separator = "\t" if form == "tsv" else _separator(path, encoding)
    some = list(islice(_cells(path, form, separator, encoding), SAMPLE))
    if not some:
        raise DataError(f"{path} holds no rows; give a file with at least one.")
    (first, place), below = some[0], [cells for cells, _ in some[1:]]
    header = _names_columns(first, below, known) if header is None else header
    if not header:
        return Table(path, form, tuple(str(k + 1) for k in range(len(first))), False, separator, encoding)
    names = tuple(cell.strip() for cell in first)
    twice = next((name for k, name in enumerate(names) if name in names[:k]), None)
    if twice is not None:
        raise DataError(f"{place}: the header names column {twice!r} twice; give each column a name of its own.")
    if not below:
        raise DataError(f"{path} has a header, but no rows below it.")
    return Table(path, form, names, True, separator, encoding)


def _separator(path: Path, encoding: str) -> str:
    first = next((line for line in lines(path, encoding) if line.strip()), "")
    return max(SEPARATORS, key=first.count)


def _names_columns(first: list[str], below: list[list[str]], known: frozenset[str]) -> bool:
    cells = [cell.strip() for cell in first]
    if {cell.lower() for cell in cells} & known:
        return True
    if len(set(cells)) < len(cells) or any(not cell or len(cell) > LONGEST_NAME or _is_number(cell) for cell in cells):
        return False
    return bool(below) and not any(cell == row[k] for row in below for k, cell in enumerate(cells) if k < len(row))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _cells(path: Path, form: str, separator: str, encoding: str) -> Iterator[tuple[list[str], Place]]:
    """The cells of every line that is not blank; a cell in quotes may hold ends of line."""
    if form == "tsv":
        for k, line in enumerate(lines(path, encoding), 1):
            if line.strip():
                yield [_unquoted(cell) for cell in line.rstrip("\r\n").split("\t")], Place(path, k)
        return
    reader = csv.reader(lines(path, encoding), delimiter=separator, strict=True)
    begin = 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as reason:
            raise DataError(
                f"{Place(path, begin)}: its quotes do not fit ({reason}); close each, and double those inside a cell."
            ) from None
        if cells is None:
            return
        if cells and (len(cells) > 1 or cells[0].strip()):
            yield cells, Place(path, begin)
        begin = reader.line_num + 1


def _unquoted(cell: str) -> str:
    """A cell of TSV as it was before a program put it in quotes; quotes that are text stay."""
    inside = cell[1:-1]
    quoted = len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inside.replace('""', "")
    return inside.replace('""', '"') if quoted else cell


# --- lines


def _fasttext(path: Path, encoding: str) -> SomeRows:
    for k, line in enumerate(lines(path, encoding), 1):
        labels, words = [], line.split()
        while words and words[0].startswith(FASTTEXT):
            labels.append(words.pop(0).removeprefix(FASTTEXT))
        if line.strip():
            yield {"label": labels, "text": " ".join(words)}, Place(path, k)


def _plain(path: Path, encoding: str) -> SomeRows:
    for k, line in enumerate(lines(path, encoding), 1):
        yield {"text": line.rstrip("\r\n")}, Place(path, k)
