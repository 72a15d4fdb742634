"""Running text in passages."""

from __future__ import annotations

import gzip
import random
from io import BytesIO
from pathlib import Path

import pytest

from headgate.data import DataError, corpus
from headgate.data.corpus import DOCUMENTS, STRETCHES, Passage, held_out, passages, text_lines
from headgate.data.example import Place

SEED = 22
BOOK = "header\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\nOne.\nTwo.\n*** END OF THE PROJECT GUTENBERG EBOOK X\n"


def file(folder: Path, text: str | bytes, name: str = "a.txt") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def texts(found) -> list[tuple[str, bool]]:
    return [(passage.input, passage.begins) for passage in found]


def test_files_are_documents_and_a_file_is_a_passage(tmp_path):
    paths = [file(tmp_path, "One.\r\nTwo.\rThree."), file(tmp_path, gzip.compress(b"Four.\n"), "b.txt.gz")]
    assert texts(passages(paths)) == [("One.\nTwo.\nThree.", True), ("Four.\n", True)]
    assert texts(passages(paths, documents="joined")) == [("One.\nTwo.\nThree.", True), ("Four.\n", False)]


def test_documents_within_files(tmp_path):
    path = file(tmp_path, "\na b\nc\n\n \nd\n")
    assert texts(passages([path], documents="lines")) == [("a b", True), ("c", True), ("d", True)]
    assert texts(passages([path], documents="paragraphs")) == [("a b\nc", True), ("d", True)]
    assert [str(p.place) for p in passages([path], documents="paragraphs")] == [f"{path}, line 2", f"{path}, line 6"]
    assert [p.input for p in text_lines([path])] == ["", "a b", "c", "", " ", "d"]


def test_documents_have_to_be_known(tmp_path):
    with pytest.raises(ValueError, match="documents='pages' is not known; choose one of files, lines"):
        list(passages([file(tmp_path, "x")], documents="pages"))


def test_passages_are_bounded_and_cut_where_lines_end(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "PASSAGE", 10)
    found = list(passages([file(tmp_path, "one\ntwo\nthree\nfour five six seven\n" + "x" * 25)]))
    parts = ["one\ntwo\n", "three\n", "four five", " six seven", "\n", "x" * 10, "x" * 10, "x" * 5]
    assert [p.input for p in found] == parts
    assert [p.begins for p in found] == [True] + [False] * (len(found) - 1)
    assert [p.place.line for p in found][:3] == [1, 3, 4]


@pytest.mark.parametrize(
    "text",
    [
        BOOK,
        "x\n***START OF THIS PROJECT GUTENBERG EBOOK***\nOne.\nTwo.\n***END OF THIS PROJECT GUTENBERG EBOOK\nx",
        "x\n*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\nOne.\nTwo.\nEnd of Project Gutenberg's X",
        "x\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\nOne.\nTwo.\n",
    ],
)
def test_a_book_without_what_is_around_it(tmp_path, text):
    found = list(passages([file(tmp_path, text)], gutenberg=True))
    assert [p.input for p in found] == ["One.\nTwo.\n"]


def test_a_header_stays_unless_asked_and_has_to_be_there_if_asked(tmp_path):
    assert texts(passages([file(tmp_path, BOOK)])) == [(BOOK, True)]
    with pytest.raises(DataError, match=r"a\.txt has no line where a book of Project Gutenberg begins"):
        list(passages([file(tmp_path, "One.\n")], gutenberg=True))


@pytest.mark.parametrize(
    ("raw", "said"),
    [(b"", "is empty"), (b"ab\0", "is a binary file"), (b"a\nb\xff", "line 2, column 2: byte 0xff is not utf-8")],
)
def test_what_is_no_text_is_refused(tmp_path, raw, said):
    with pytest.raises(DataError, match=said):
        list(passages([file(tmp_path, raw)]))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("missing", [(), ("test",), ("validation",), ("validation", "test")])
def test_the_end_and_stretches_are_held_out(share, missing):
    draw = random.Random(SEED)
    for round_ in range(100):
        many = round_ % 20 == 0
        sizes = [draw.randrange(1, 9_000 if many else 9) for _ in range(draw.randrange(1, 9))]
        parts = ["".join(draw.choices("ab\n", k=size)) for size in sizes]
        text, starts = "".join(parts), [draw.random() < 0.5 for _ in parts]
        whole = [Passage(p, None, Place("x", k), b) for k, (p, b) in enumerate(zip(parts, starts, strict=True))]
        found = {split: list(held_out(whole, split, missing, share)) for split in ("train", *missing)}
        assert sorted("".join(p.input for part in found.values() for p in part)) == sorted(text)
        for split in missing:
            assert abs(sum(len(p.input) for p in found[split]) - share * len(text)) <= 1
        if "test" in missing:
            assert text.endswith("".join(p.input for p in found["test"]))
        # A cut makes no document begin, and takes no beginning away.
        assert sum(p.begins for part in found.values() for p in part) == sum(starts)


def test_where_the_stretches_lie():
    whole = [Passage("".join(chr(0x4E00 + k) for k in range(20_000)), None, Place("x", 1), True)]
    both = ("validation", "test")
    found = {split: list(held_out(whole, split, both, 0.1)) for split in ("train", *both)}
    ends = {split: [(ord(p.input[0]) - 0x4E00, ord(p.input[-1]) - 0x4E00) for p in found[split]] for split in found}
    assert ends["test"] == [(18_000, 19_999)]
    assert ends["validation"] == [(4_000, 4_999), (13_000, 13_999)], "2,000 characters: two stretches of a thousand"
    assert ends["train"] == [(0, 3_999), (5_000, 12_999), (14_000, 17_999)], "training knows what comes before the test"
    long = [Passage("ab" * 500_000, None, Place("x", 1), True)]
    assert len(list(held_out(long, "validation", both, 0.1))) == STRETCHES


def test_mutated_files_are_read_or_refused_in_a_sentence():
    draw = random.Random(SEED)
    seed = [*BOOK.encode(), *"日本 é\r\n\n".encode(), *gzip.compress(b"text\n" * 9, mtime=0)]
    refused = 0
    for k in range(10_000):
        start = draw.randrange(len(seed))
        raw = bytearray(seed[start : start + draw.randrange(60)])
        for _ in range(draw.randrange(4)):
            byte = draw.choice([0, 10, 13, 0x1F, 0x8B, 0xEF, 0xFE, 0xFF, draw.randrange(256)])
            raw.insert(draw.randrange(len(raw) + 1), byte)
        documents = DOCUMENTS[k % len(DOCUMENTS)]
        try:
            found = list(passages([BytesIO(raw)], documents=documents, gutenberg=k % 5 == 0))
            again = list(text_lines([BytesIO(raw)]))
        except DataError as error:
            refused += 1
            assert str(error).startswith("standard input") and "\n" not in str(error)
            continue
        if documents == "files" and k % 5:
            assert "".join(p.input for p in found).rstrip("\n") == "\n".join(p.input for p in again).rstrip("\n")
    assert 1000 < refused < 9000
