"""Lines of text: encodings, compression, and files that are no text."""

from __future__ import annotations

import gzip
import io
import random

import pytest

from headgate.data import DataError, lines
from headgate.data.text import LONGEST_LINE

TEXT = "text,label\ncafé,1\n日本,2\n"


def written(folder, content: bytes):
    path = folder / "rows.csv"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_of_byte_order_is_obeyed(tmp_path, encoding):
    assert "".join(lines(written(tmp_path, TEXT.encode(encoding)))) == TEXT


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_end_of_line_counts(tmp_path, end):
    path = written(tmp_path, f"a{end}b{end}{end}c".encode())
    assert list(lines(path)) == [f"a{end}", f"b{end}", end, "c"]


def test_compressed_files_read_as_others(tmp_path):
    assert "".join(lines(written(tmp_path, gzip.compress(TEXT.encode())))) == TEXT


def test_another_encoding_is_named_with_line_and_column(tmp_path):
    path = written(tmp_path, "text,label\ncafé,1\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"rows.csv, line 2, column 4: byte 0xe9 is not utf-8.*--encoding"):
        list(lines(path))
    assert list(lines(path, "latin-1"))[1] == "café,1\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (bytes(range(256)) * 4, "binary file"),
        (gzip.compress(TEXT.encode() * 1000)[:-20], "cannot be decompressed"),
        (b"\x1f\x8bnothing of the kind", "cannot be decompressed"),
        (b"\xff\xfe\x00\xd8\x00", "begins as utf-16"),
    ],
    ids=["empty", "binary", "cut", "false gzip", "broken utf-16"],
)
def test_what_is_no_text_is_refused_in_a_sentence(tmp_path, content, words):
    with pytest.raises(DataError, match=words):
        list(lines(written(tmp_path, content)))


def test_a_file_that_is_one_huge_line_is_refused(tmp_path):
    with pytest.raises(DataError, match="line 2 is longer than"):
        list(lines(written(tmp_path, b"a\n" + b"x" * (LONGEST_LINE + 1))))


def test_a_place_that_is_no_file(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        list(lines(tmp_path / "nothing.csv"))
    with pytest.raises(DataError, match="cannot be read"):
        list(lines(tmp_path))


def test_nothing_but_a_sentence_comes_of_any_bytes():
    """Ten thousand mutations of a file, plain and compressed."""
    chance = random.Random(0)
    plain = TEXT.encode() * 3
    refused = 0
    for k in range(10_000):
        changed = bytearray(plain if k % 2 else gzip.compress(plain, mtime=0))
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        try:
            list(lines(io.BytesIO(changed[: chance.randint(0, len(changed))])))
        except DataError as error:
            refused += 1
            assert "\n" not in str(error)
    assert 1_000 < refused < 9_999  # neither always nor never


def test_an_open_file_is_read_from_where_it_stands(tmp_path):
    with written(tmp_path, TEXT.encode()).open("rb") as file:
        assert list(lines(file)) == TEXT.splitlines(keepends=True)
        assert not file.closed
    with pytest.raises(DataError, match="standard input is empty"):
        list(lines(io.BytesIO()))
