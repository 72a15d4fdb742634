"""Rows from a stream, in files that tasks can read: all at once, or as they come where each line is a row by itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from headgate.data import DataError
from headgate.data.tables import SEPARATORS
from headgate.data.text import GZIP, WIDE
from headgate.tasks.bench_task import BenchTask

NAME = "standard input"
# What a stream may be; the first that a task can read, unless its first line is JSON.
KINDS = (".txt", ".csv", ".tsv", ".conll")
JSON_LINES, LINES = ".jsonl", ".lines"
PIECE = 1 << 20


def lots(task: BenchTask, options: Any, stream: BinaryIO, folder: Path) -> Iterator[tuple[Path, Any, int]]:
    """Files of what a stream gives, the options to read each with, and how many lines came before it.

    A file is gone when the next is asked for.

    Raises:
        DataError: what comes cannot be kept.
    """
    try:
        path, options, tail, ended = _beginning(task, options, stream, folder)
        before = 0
        yield path, options, before
        while not ended:
            if not before and path.suffix != JSON_LINES:
                # What the first lines were, all are, though one that begins a lot may look like a table's.
                path = path.replace(path.with_suffix(LINES))
            before += len(path.read_bytes().splitlines())
            with path.open("wb") as file:
                tail, ended = _whole_lines(stream, file, tail)
            if path.stat().st_size:
                yield path, options, before
    except OSError as reason:
        raise DataError(f"{NAME} cannot be kept ({reason.strerror or reason}).") from None


def kept(task: BenchTask, options: Any, path: Path) -> Path:
    """A file of rows, renamed so that its name says what it is."""
    with path.open("rb") as file:
        first = next((line for line in iter(lambda: file.readline(PIECE), b"") if line.strip()), b"")
    if first.lstrip().startswith((b"{", b"[")):
        return path.replace(path.with_suffix(JSON_LINES))
    for kind in KINDS:
        path = path.replace(path.with_suffix(kind))
        if task.fits(path, options).sureness > 0:
            return path
    return path.replace(path.with_suffix(KINDS[0]))


def _beginning(task: BenchTask, options: Any, stream: BinaryIO, folder: Path) -> tuple[Path, Any, bytes, bool]:
    """The first lot, options, what came after it, and whether that was all; it is all unless each line is a row."""
    path, tail, ended = folder / "rows", b"", False
    path.touch()
    while not ended:
        with path.open("ab") as file:
            tail, ended = _whole_lines(stream, file, tail)
        path = kept(task, options, path)
        if ended or _tells(path, stream):
            break
    if ended:
        return path, options, tail, True
    alone = None if _packed(path) else task.by_line(path, options)
    if alone is not None:
        return path, alone, tail, False
    with path.open("ab") as file:
        file.write(tail)
        shutil.copyfileobj(stream, file)
    return kept(task, options, path), options, b"", True


def _whole_lines(stream: BinaryIO, file: BinaryIO, tail: bytes) -> tuple[bytes, bool]:
    """Write the lines that are there, waiting for one that is not blank; what came of the next one, and whether all
    has come."""
    read, blank = getattr(stream, "read1", stream.read), not tail.strip()
    file.write(tail)
    while piece := read(PIECE):
        lines, end, rest = piece.rpartition(b"\n")
        blank = blank and not lines.strip()
        if end and not blank:
            file.write(lines + end)
            return rest, False
        blank = blank and not rest.strip()
        file.write(piece)
    return b"", True


def _tells(path: Path, stream: BinaryIO) -> bool:
    """Whether the lines so far show what they are: one alone, with separators, may be the head of a table to come."""
    content = path.read_bytes()
    alone, plain = b"\n" not in content.strip(), not any(sign in content for sign in SEPARATORS.encode())
    return plain or not alone or path.suffix == JSON_LINES or stream.isatty()


def _packed(path: Path) -> bool:
    """Whether the bytes are no lines that could be cut: compressed, or of a wide encoding."""
    with path.open("rb") as file:
        return file.read(len(max(WIDE, key=len))).startswith((GZIP, *WIDE))
