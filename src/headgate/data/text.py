"""Lines of text from a file: encodings, compression, and bytes that are no text."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

from headgate.data.example import DataError, Place

# No line of text is longer than this; a file that has one is of another kind.
LONGEST_LINE = 16_000_000
GZIP = b"\x1f\x8b"
# How each begins that cannot be cut at the byte of a newline.
WIDE = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16"} | {
    codecs.BOM_UTF16_BE: "utf-16"
}
BEGINNING = 65_536


def lines(source: str | Path | BinaryIO, encoding: str = "utf-8") -> Iterator[str]:
    """The lines of a text file, each with its end of line; compressed with gzip or not.

    A mark of byte order at the beginning says which form of Unicode follows, whatever `encoding` says.

    Args:
        source: the file, or one opened for bytes, such as `sys.stdin.buffer`; it is read from where it stands.
        encoding: any that Python knows.

    Raises:
        DataError: there is no such file, it is empty, binary or damaged, it is not in this encoding (said with line
            and column), or a line is longer than LONGEST_LINE bytes.
        LookupError: Python knows no such encoding.
    """
    codecs.lookup(encoding)
    name = source_name(source)
    try:
        with nullcontext(source) if hasattr(source, "read") else Path(source).open("rb") as opened:
            file = opened if hasattr(opened, "peek") else io.BufferedReader(opened)
            if file.peek(len(GZIP)).startswith(GZIP):
                yield from _decoded(gzip.GzipFile(fileobj=file), name, encoding)
            else:
                yield from _decoded(file, name, encoding)
    except (gzip.BadGzipFile, zlib.error, EOFError) as reason:
        raise DataError(f"{name} is damaged: it cannot be decompressed ({reason}); fetch it again.") from None
    except OSError as reason:
        raise DataError(f"{name} cannot be read ({reason.strerror or reason}).") from None


def opened(path: str | Path) -> BinaryIO:
    """A file's bytes, decompressed where they are gzip's.

    Raises:
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        packed = file.read(len(GZIP)) == GZIP
    return gzip.open(path, "rb") if packed else Path(path).open("rb")


def source_name(source: str | Path | BinaryIO) -> str:
    """What a message calls a source of bytes."""
    name = getattr(source, "name", None) if hasattr(source, "read") else source
    return str(name) if isinstance(name, (str, Path)) and str(name) != "<stdin>" else "standard input"


def _decoded(file: BinaryIO, name: str, encoding: str) -> Iterator[str]:
    beginning = file.peek(BEGINNING)
    if not beginning:
        raise DataError(f"{name} is empty; give a file with at least one row.")
    wide = next((known for mark, known in WIDE.items() if beginning.startswith(mark)), None)
    if wide is None and b"\0" in beginning and not encoding.lower().startswith(("utf-16", "utf_16", "utf-32")):
        raise DataError(f"{name} is a binary file (it holds zero bytes), but text was expected.")
    yield from _wide_lines(file, name, wide) if wide else _lines(file, name, encoding)


def _lines(file: BinaryIO, path: str, encoding: str) -> Iterator[str]:
    number = 0
    while raw := file.readline(LONGEST_LINE + 1):
        # As everywhere, a carriage return alone ends a line too.
        for part in raw.splitlines(keepends=True):
            number += 1
            _refuse_long(len(part), path, number)
            if number == 1 and part.startswith(codecs.BOM_UTF8):
                part = part.removeprefix(codecs.BOM_UTF8)
            try:
                yield part.decode(encoding)
            except UnicodeDecodeError as error:
                raise _not_this_encoding(error, part, Place(path, number), encoding) from None


def _wide_lines(file: BinaryIO, path: str, encoding: str) -> Iterator[str]:
    number = 0
    reader = io.TextIOWrapper(file, encoding=encoding, newline="")
    try:
        while line := reader.readline(LONGEST_LINE + 1):
            number += 1
            _refuse_long(len(line), path, number)
            yield line
    except UnicodeError as reason:
        place = Place(path, number + 1)
        raise DataError(f"{place}: it begins as {encoding}, but goes on otherwise ({reason}).") from None
    finally:
        reader.detach()  # or it would close the file, which is its opener's to close


def _refuse_long(length: int, path: str, number: int) -> None:
    if length > LONGEST_LINE:
        raise DataError(
            f"{Place(path, number)} is longer than {LONGEST_LINE:,} bytes, so this is no file of rows; put each "
            "sequence on a line of its own."
        )


def _not_this_encoding(error: UnicodeDecodeError, raw: bytes, place: Place, encoding: str) -> DataError:
    column = len(raw[: error.start].decode(encoding, "replace")) + 1
    return DataError(
        f"{Place(place.file, place.line, column)}: byte 0x{raw[error.start]:02x} is not {encoding}; save the file as "
        "UTF-8, or give --encoding (of files from Windows it is often cp1252)."
    )
