"""Running text in passages of bounded length: files, folders of files, documents within files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from headgate.data.example import DataError, Example, Place
from headgate.data.text import lines, source_name

# Characters of a passage, at most: what is handled at a time, however large the files are.
PASSAGE = 65_536
# Held out for validation: so many stretches of a text, if they have so many characters each; else fewer.
STRETCHES, LEAST_STRETCH = 10, 1000
# What a document is.
DOCUMENTS = ("files", "lines", "paragraphs", "joined")
# Between which lines the text of a book of Project Gutenberg stands; the second form of each is that before 2000.
BOOK_BEGINS = re.compile(r"\*\*\* ?START OF TH(?:E|IS) PROJECT GUTENBERG|\*END\*? ?THE SMALL PRINT", re.I)
BOOK_ENDS = re.compile(r"\*\*\* ?END OF TH(?:E|IS) PROJECT GUTENBERG|End of (?:The |This )?Project Gutenberg", re.I)


# A file's name, or a file opened for bytes.
Source = Path | BinaryIO


@dataclass(frozen=True, slots=True)
class Passage(Example):
    """A part of a document; its `input` is text, its `target` None.

    Attributes:
        begins: whether a document begins with it; if not, it goes on where the passage before it ended.
    """

    begins: bool = True


def passages(
    sources: Sequence[Source], encoding: str = "utf-8", documents: str = "files", gutenberg: bool = False
) -> Iterator[Passage]:
    """The text of files, in order, in passages of at most PASSAGE characters, cut at the end of a line where one is.

    Whatever ends a line in a file, "\\n" does here.

    Args:
        sources: text files, compressed with gzip or not.
        encoding: any that Python knows.
        documents: what a document is: "files": each file; "lines": each line that is not blank, without its end;
            "paragraphs": lines up to a blank one, without what ends the last; "joined": all files together.
        gutenberg: whether to take only what stands between the marks that Project Gutenberg puts around a book.

    Raises:
        DataError: a file cannot be read as text (see `lines`), or has no such marks.
        ValueError: documents is no such word.
    """
    if documents not in DOCUMENTS:
        raise ValueError(f"documents={documents!r} is not known; choose one of {', '.join(DOCUMENTS)}.")
    for k, source in enumerate(sources):
        path = source_name(source)
        numbered = enumerate(map(_ended, lines(source, encoding)), 1)
        rows = _book(numbered, path) if gutenberg else numbered
        if documents in ("lines", "paragraphs"):
            for document in _within(rows, alone=documents == "lines"):
                yield from _cut(document, path, begins=True)
        else:
            yield from _cut(rows, path, begins=documents == "files" or k == 0)


def text_lines(sources: Sequence[Source], encoding: str = "utf-8") -> Iterator[Passage]:
    """Each line of files, blank ones too, as a document of its own, without its end.

    Raises:
        DataError: a file cannot be read as text.
    """
    for source in sources:
        for number, line in enumerate(lines(source, encoding), 1):
            yield Passage(_ended(line).removesuffix("\n"), None, Place(source_name(source), number))


def held_out(examples: Iterable[Example], split: str, missing: Sequence[str], share: float) -> Iterator[Passage]:
    """The part of a text that is for one split.

    The test's is the very end. The validation's are stretches spread evenly over what is before it: a text's end is
    often of one piece, whose names and habits training should know as far as it goes before the test begins.

    Args:
        examples: passages, which are gone through twice.
        split: "train", or one that is missing.
        missing: which of "validation" and "test" are held out; the other one has a file of its own.
        share: of all characters, for each of them; a cut falls on a whole character.
    """
    ranges = _ranges(sum(len(example.input) for example in examples), missing, share)
    at = 0
    for example in examples:
        for name, first, last in ranges:
            begin, end = max(first - at, 0), min(last - at, len(example.input))
            if name == split and begin < end:
                yield replace(example, input=example.input[begin:end], begins=example.begins and begin == 0)
        at += len(example.input)


def _ranges(total: int, missing: Sequence[str], share: float) -> list[tuple[str, int, int]]:
    """Whose each range of characters is, in their order."""
    held = round(total * share)
    rest = total - held if "test" in missing else total
    count = min(max(held // LEAST_STRETCH, 1), STRETCHES) if "validation" in missing else 0
    found, done = [], 0
    for k in range(count):
        low, high, size = rest * k // count, rest * (k + 1) // count, held * (k + 1) // count - held * k // count
        first = low + (high - low - size) // 2
        found += [("train", done, first), ("validation", first, first + size)]
        done = first + size
    return [*found, ("train", done, rest), ("test", rest, total)]


Rows = Iterable[tuple[int, str]]


def _ended(line: str) -> str:
    if line.endswith("\r\n"):
        return f"{line[:-2]}\n"
    return f"{line[:-1]}\n" if line.endswith("\r") else line


def _book(rows: Rows, path: str) -> Iterator[tuple[int, str]]:
    inside = False
    for number, line in rows:
        if inside and BOOK_ENDS.search(line):
            return
        if inside:
            yield number, line
        elif BOOK_BEGINS.search(line):
            inside = True
    if not inside:
        raise DataError(
            f"{path} has no line where a book of Project Gutenberg begins (*** START OF THE PROJECT GUTENBERG EBOOK); "
            "read it without gutenberg."
        )


def _within(rows: Rows, alone: bool) -> Iterator[Rows]:
    """The documents of a file: lines alone, or up to a blank one; what ends a document is not part of it."""
    if alone:
        yield from ([(number, line.removesuffix("\n"))] for number, line in rows if line.strip())
        return
    for filled, document in groupby(rows, key=lambda row: bool(row[1].strip())):
        if filled:
            yield _without_end(document)


def _without_end(rows: Rows) -> Rows:
    before: tuple[int, str] | None = None
    for row in rows:
        if before is not None:
            yield before
        before = row
    if before is not None:
        yield before[0], before[1].removesuffix("\n")


def _cut(rows: Rows, path: str, begins: bool) -> Iterator[Passage]:
    held: list[str] = []
    size, first = 0, 1
    for number, line in rows:
        if held and size + len(line) > PASSAGE:
            yield Passage("".join(held), None, Place(path, first), begins)
            held, size, begins = [], 0, False
        parts = _long(line) if len(line) > PASSAGE else [line]
        for part in parts[:-1]:
            yield Passage(part, None, Place(path, number), begins)
            begins = False
        first = first if held else number
        held.append(parts[-1])
        size += len(parts[-1])
    if held:
        yield Passage("".join(held), None, Place(path, first), begins)


def _long(line: str) -> list[str]:
    """A line longer than a passage in parts, cut before white space where there is any in the second half."""
    parts, at = [], 0
    while len(line) - at > PASSAGE:
        space = max(line.rfind(sign, at + PASSAGE // 2, at + PASSAGE) for sign in (" ", "\t"))
        end = space if space > 0 else at + PASSAGE
        parts.append(line[at:end])
        at = end
    return [*parts, line[at:]]
