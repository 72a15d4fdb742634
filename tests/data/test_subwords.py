"""Pieces of words."""

from __future__ import annotations

import json

import pytest

from headgate.data.subwords import Subwords

TEXTS = ["the cat sat on the mat", "the dog sat on the log", "Ein Café in Köln"] * 4
MARKS = ("<start>", "<end>")


@pytest.fixture(scope="module")
def subwords():
    return Subwords.learn(TEXTS, 300, marks=MARKS)


@pytest.mark.parametrize(
    "text", ["the cat", "  two  spaces ", "日本 👍🏽 é", "<start> is text", "tab\tand\nline", "\x00\ufffd", ""]
)
def test_any_text_comes_back(subwords, text):
    kept = Subwords.from_json(json.loads(json.dumps(subwords.to_json())))
    assert kept.text(kept.numbers(text)) == text
    assert kept.numbers(text).tolist() == subwords.numbers(text).tolist()


def test_frequent_words_are_few_pieces_and_none_is_a_mark(subwords):
    assert len(subwords.numbers(" sat on")) < len(" sat on")
    assert len(subwords) <= 1 + len(MARKS) + 300
    assert subwords.numbers("<start><end>").min() > subwords.mark("<end>") > subwords.mark("<start>") > subwords.PADDING
    assert subwords.text([0, 1, 2, *subwords.numbers("cat"), 0]) == "cat"


def test_lower_case_is_for_good():
    small = Subwords.learn(TEXTS, 256, lower=True)
    assert small.text(small.numbers("The CAT")) == "the cat"


def test_pieces_are_the_text_in_parts(subwords):
    assert "".join(subwords.pieces("the cat sat")) == "the cat sat"


@pytest.mark.parametrize("text", ["", "the cat", "  two  spaces ", "日本 👍🏽 é", "İstanbul\n"])
def test_every_character_ends_with_one_piece(subwords, text):
    for pieces in (subwords, Subwords.learn(TEXTS, 256, lower=True)):
        numbers, widths = pieces.measured(text)
        assert numbers.tolist() == pieces.numbers(text).tolist() and len(widths) == len(numbers)
        assert widths.sum() == len(text) and widths.min(initial=0) >= 0


def test_learning_again_gives_the_same(subwords):
    assert Subwords.learn(TEXTS, 300, marks=MARKS).to_json() == subwords.to_json()


@pytest.mark.parametrize("found", [{}, {"pieces": "x", "marks": []}, {"pieces": 3, "marks": []}, {"marks": []}])
def test_what_are_no_pieces_is_refused(found):
    with pytest.raises(ValueError, match="no pieces of words"):
        Subwords.from_json(found)


def test_too_few_pieces_are_refused():
    with pytest.raises(ValueError, match="size=255"):
        Subwords.learn(TEXTS, 255)
