"""Sentences in columns, a token a line and a blank line between sentences, as the CoNLL shared tasks have them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from headgate.data.example import DataError, Place
from headgate.data.text import lines

DOCUMENT = "-DOCSTART-"
SAMPLE = 2000
# A sentence without end is a file without blank lines.
LONGEST_SENTENCE = 20_000
# CoNLL-U: ten columns, the token second, its part of speech fourth; ranges (1-2) and empty nodes (1.1) are no tokens.
CONLL_U, CONLL_U_TOKEN, CONLL_U_TAG = 10, 2, 4
_COMMENT = re.compile(r"#(\s|$)")
_RANGE = re.compile(r"\d+[-.]\d+")


@dataclass(frozen=True)
class Columns:
    """Which columns of a file are read.

    Attributes:
        count: columns of a line.
        token, tag: counted from 1; tag is None where there is none.
        tabs: parted by tabs, else by any white space.
        universal: CoNLL-U.
    """

    count: int
    token: int
    tag: int | None
    tabs: bool
    universal: bool = False

    def cells(self, line: str) -> list[str]:
        """The cells of a line."""
        return [cell.strip() for cell in line.rstrip("\r\n").split("\t")] if self.tabs else line.split()


@dataclass(frozen=True)
class Sentence:
    """Tokens with their tags (None where the file has none) and the place of the first."""

    tokens: list[str]
    tags: list[str] | None
    place: Place


def columns_of(
    path: str | Path, token: int = 0, tag: int = 0, encoding: str = "utf-8", answers: bool = True
) -> Columns:
    """Looks at a file's first lines.

    Args:
        path: the file.
        token, tag: columns counted from 1, from the end where negative; 0 for the first and the last (in CoNLL-U the
            second and the fourth).
        encoding: of its text.
        answers: whether tags have to be there.

    Raises:
        DataError: no such columns, or no token at all.
    """
    some = [line for line in islice(lines(path, encoding), SAMPLE) if line.strip() and not _is_mark(line)]
    tabs = any("\t" in line.strip() for line in some)
    some = [line for line in some if not (tabs and _COMMENT.match(line) and "\t" not in line)]
    if not some:
        raise DataError(f"{path} holds no tokens; one a line was expected, with its tag, and blank lines in between.")
    first = Columns(0, 1, None, tabs).cells(some[0])
    universal = tabs and len(first) == CONLL_U and first[0].replace("-", "").replace(".", "").isdigit()
    token = token or (CONLL_U_TOKEN if universal else 1)
    tag = tag or (CONLL_U_TAG if universal else len(first))
    wanted = [number if number > 0 else len(first) + 1 + number for number in (token, tag)]
    lacking = next((number for number in wanted if not 1 <= number <= len(first)), None)
    if lacking is not None:
        raise DataError(f"{path} has {len(first)} columns, so there is no column {lacking}.")
    if wanted[0] == wanted[1] and answers:
        raise DataError(f"{path} has tokens, but no tags; each line needs both, parted by a tab or spaces.")
    return Columns(len(first), wanted[0], None if wanted[0] == wanted[1] else wanted[1], tabs, universal)


def sentences(path: str | Path, columns: Columns, encoding: str = "utf-8") -> Iterator[Sentence]:
    """The sentences of a file.

    Args:
        path: the file; -DOCSTART- lines, and comments where columns are parted by tabs, are passed over.
        columns: what `columns_of` found.
        encoding: of its text.

    Raises:
        DataError: a line has another number of columns, an empty token or tag, or there are no blank lines.
    """
    tokens: list[str] = []
    tags: list[str] = []
    place = Place(path)
    for k, line in enumerate(lines(path, encoding), 1):
        if not line.strip():
            if tokens:
                yield Sentence(tokens, tags if columns.tag else None, place)
                tokens, tags = [], []
            continue
        if _is_mark(line) or (columns.tabs and "\t" not in line and _COMMENT.match(line)):
            continue
        here = Place(path, k)
        found = _token(columns.cells(line), columns, here)
        if found is not None:
            place = place if tokens else here
            tokens.append(found[0])
            tags.append(found[1])
        if len(tokens) > LONGEST_SENTENCE:
            raise DataError(f"{place}: {LONGEST_SENTENCE:,} tokens without a blank line; put one between sentences.")
    if tokens:
        yield Sentence(tokens, tags if columns.tag else None, place)


def _is_mark(line: str) -> bool:
    return line.lstrip().startswith(DOCUMENT)


def _token(cells: list[str], columns: Columns, place: Place) -> tuple[str, str] | None:
    if len(cells) != columns.count:
        wanted = f"{columns.count} were expected, parted by {'tabs' if columns.tabs else 'spaces'}"
        raise DataError(f"{place} has {len(cells)} columns, but {wanted}, as in the first line.")
    if columns.universal and _RANGE.fullmatch(cells[0]):
        return None
    token, tag = cells[columns.token - 1], cells[columns.tag - 1] if columns.tag else ""
    for value, name, number in ((token, "token", columns.token), (tag, "tag", columns.tag)):
        if not value and number:
            raise DataError(f"{Place(place.file, place.line, number)}: the {name} is missing.")
    return token, tag
