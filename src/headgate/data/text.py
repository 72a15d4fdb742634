"""Lines of text from a file: encodings, compression, and bytes that are no text."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from charset_normalizer import from_bytes

from headgate.data.example import DataError, Place

# No line of text is longer than this; a file that has one is of another kind.
LONGEST_LINE = 16_000_000
GZIP = b"\x1f\x8b"
# How each begins that cannot be cut at the byte of a newline.
WIDE = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16"} | {
    codecs.BOM_UTF16_BE: "utf-16"
}
BEGINNING = 65_536


def lines(path: str | Path, encoding: str = "utf-8") -> Iterator[str]:
    """The lines of a text file, each with its end of line; compressed with gzip or not.

    A mark of byte order at the beginning says which form of Unicode follows, whatever `encoding` says.

    Args:
        path: the file.
        encoding: any that Python knows.

    Raises:
        DataError: there is no such file, it is empty, binary or damaged, it is not in this encoding (said with line
            and column), or a line is longer than LONGEST_LINE bytes.
        LookupError: Python knows no such encoding.
    """
    codecs.lookup(encoding)
    try:
        with Path(path).open("rb") as raw:
            file = gzip.GzipFile(fileobj=raw) if raw.read(2) == GZIP else raw
            raw.seek(0)
            beginning = file.read(BEGINNING)
            if not beginning:
                raise DataError(f"{path} is empty; give a file with at least one row.")
            file.seek(0)
            wide = next((name for mark, name in WIDE.items() if beginning.startswith(mark)), None)
            if wide is None and b"\0" in beginning and not encoding.lower().startswith(("utf-16", "utf_16", "utf-32")):
                raise DataError(f"{path} is a binary file (it holds zero bytes), but text was expected.")
            yield from _wide_lines(file, path, wide) if wide else _lines(file, path, encoding)
    except (gzip.BadGzipFile, zlib.error, EOFError) as reason:
        raise DataError(f"{path} is damaged: it cannot be decompressed ({reason}); fetch it again.") from None
    except OSError as reason:
        raise DataError(f"{path} cannot be read ({reason.strerror or reason}).") from None


def _lines(file: BinaryIO, path: str | Path, encoding: str) -> Iterator[str]:
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


def _wide_lines(file: BinaryIO, path: str | Path, encoding: str) -> Iterator[str]:
    number = 0
    reader = codecs.getreader(encoding)(file)
    while True:
        try:
            line = reader.readline(keepends=True)
        except UnicodeError as reason:
            place = Place(path, number + 1)
            raise DataError(f"{place}: it begins as {encoding}, but goes on otherwise ({reason}).") from None
        if not line:
            return
        number += 1
        _refuse_long(len(line), path, number)
        yield line


def _refuse_long(length: int, path: str | Path, number: int) -> None:
    if length > LONGEST_LINE:
        raise DataError(
            f"{Place(path, number)} is longer than {LONGEST_LINE:,} bytes, so this is no file of rows; put each "
            "sequence on a line of its own."
        )


def _not_this_encoding(error: UnicodeDecodeError, raw: bytes, place: Place, encoding: str) -> DataError:
    column = len(raw[: error.start].decode(encoding, "replace")) + 1
    found = from_bytes(raw).best()
    like = "" if found is None else f"; it looks like {found.encoding}"
    return DataError(
        f"{Place(place.file, place.line, column)}: byte 0x{raw[error.start]:02x} is not {encoding}{like}; give "
        "--encoding, or save the file as UTF-8."
    )
