"""Spans and the tags that write them, against seqeval."""

import random
from itertools import pairwise

import pytest
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB1, IOB2, IOBES, IOE1, Entities, auto_detect

from headgate.data.spans import (
    LETTERS,
    PLAIN,
    SCHEMES,
    Scheme,
    Span,
    Witness,
    aligned,
    may_follow,
    spans_of,
    tags_of,
)

SEED = 3


def drawn(chance, length=8, adjacent=True):
    """Random spans in a sentence."""
    spans, at = [], 0
    while at < length:
        if chance.random() < 0.5:
            size = chance.randint(1, min(3, length - at))
            spans.append(Span(at, at + size, chance.choice(["per", "loc", "a-b"])))
            at += size - (0 if adjacent else -1)
        at += chance.random() < 0.5
    return spans


def seen(*sentences):
    witness = Witness()
    for tags in sentences:
        witness.look(tags)
    return witness.scheme()


@pytest.mark.parametrize("name", [name for name in SCHEMES if name not in (PLAIN, "IO")])
def test_spans_to_tags_and_back(name):
    chance, scheme = random.Random(SEED), Scheme(name)
    for _ in range(500):
        spans = drawn(chance)
        assert spans_of(tags_of(spans, 8, scheme), scheme) == spans


def test_io_cannot_tell_two_that_touch():
    scheme = Scheme("IO")
    assert tags_of([Span(0, 1, "x"), Span(1, 3, "y")], 4, scheme) == ["I-x", "I-y", "I-y", "O"]
    assert spans_of(["I-x", "I-x", "O", "I-x"], scheme) == [Span(0, 2, "x"), Span(3, 4, "x")]


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("BIO", ["B-x", "I-x", "B-x", "O", "B-y"]),
        ("IOB1", ["I-x", "I-x", "B-x", "O", "I-y"]),
        ("BIOES", ["B-x", "E-x", "S-x", "O", "S-y"]),
        ("BILOU", ["B-x", "L-x", "U-x", "O", "U-y"]),
        ("BMEWO", ["B-x", "E-x", "W-x", "O", "W-y"]),
    ],
)
def test_each_scheme_as_its_paper_writes_it(name, tags):
    spans = [Span(0, 2, "x"), Span(2, 3, "x"), Span(4, 5, "y")]
    assert tags_of(spans, 5, Scheme(name)) == tags
    assert spans_of(tags, Scheme(name)) == spans
    assert seen(tags) == Scheme(name)


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["O", "I-x"], Scheme("IO")),
        (["O", "per", "per"], Scheme("IO", bare=True)),
        (["NN", "VB"], Scheme(PLAIN)),
        (["B_x", "I_x"], Scheme("BIO", "_")),
        (["B-x", "O"], Scheme("BIO")),
        (["B-x", "I_x"], Scheme(PLAIN)),
        (["B-x", "U-x", "W-x"], Scheme(PLAIN)),
    ],
)
def test_schemes_are_guessed(tags, scheme):
    assert seen(tags) == scheme
    assert tags_of(spans_of(tags, scheme), len(tags), scheme) == tags


def test_guessing_agrees_with_seqeval():
    theirs = {IOB1: "IOB1", IOB2: "BIO", IOBES: "BIOES"}
    chance = random.Random(SEED)
    for name in theirs.values():
        tags = [tags_of(drawn(chance), 8, Scheme(name)) for _ in range(50)]
        assert seen(*tags).name == name
        if name != "IOB1":  # which seqeval takes for IOB2 where each begins with B
            assert theirs[auto_detect(tags)] == name


def test_broken_tags_are_read_as_conlleval_reads_them():
    """seqeval without a scheme follows conlleval; random tags break BIOES most of the time."""
    chance, broken = random.Random(SEED), 0
    for _ in range(3000):
        tags = chance.choices(["O", "B-x", "I-x", "E-x", "S-x", "B-y", "I-y", "E-y"], k=6)
        expected = [Span(start, end + 1, label) for label, start, end in get_entities(tags)]
        assert spans_of(tags, Scheme("BIOES")) == expected, tags
        broken += tags_of(expected, 6, Scheme("BIOES")) != tags
    assert broken > 2000


def test_the_comparison_can_fail():
    """A reader that lets an I after O belong to nothing, as strict IOB2 does, disagrees."""
    tags = ["O", "I-x", "O"]
    strict = Entities([tags], IOB2).entities[0]
    assert strict == [] != spans_of(tags, Scheme("BIO"))
    assert IOE1 is not IOB1


@pytest.mark.parametrize("name", LETTERS)
def test_what_a_scheme_allows_is_what_it_writes(name):
    """Walks over allowed tags write exactly the tags that spans are written by."""
    chance, scheme = random.Random(SEED), Scheme(name)
    tags = sorted({tag for _ in range(200) for tag in tags_of(drawn(chance), 8, scheme)})
    for _ in range(300):
        walk = [None]
        while len(walk) < 7:
            following = [tag for tag in tags if may_follow(walk[-1], tag, scheme)]
            walk.append(chance.choice(following))
        written = walk[1:]
        if may_follow(walk[-1], None, scheme) and name != "IO":
            assert tags_of(spans_of(written, scheme), 6, scheme) == written
    for _ in range(300):
        written = [None, *tags_of(drawn(chance), 8, scheme), None]
        assert all(may_follow(a, b, scheme) for a, b in pairwise(written))


def test_forbidden():
    scheme = Scheme("BIOES")
    assert not may_follow("B-x", "O", scheme)
    assert not may_follow("B-x", "E-y", scheme)
    assert not may_follow("E-x", "I-x", scheme)
    assert not may_follow(None, "I-x", scheme)
    assert not may_follow("B-x", None, scheme)
    assert not may_follow("O", "I-x", Scheme("BIO"))
    assert may_follow("B-x", "E-x", scheme)


def test_spans_that_overlap_are_refused():
    with pytest.raises(ValueError, match="does not fit"):
        tags_of([Span(0, 2, "x"), Span(1, 3, "y")], 4, Scheme("BIO"))
    with pytest.raises(ValueError, match="does not fit"):
        tags_of([Span(3, 5, "x")], 4, Scheme("BIO"))


def test_characters_to_tokens():
    offsets = [(0, 3), (4, 9), (9, 10), (12, 14)]
    assert aligned([Span(4, 9, "x")], offsets) == [Span(1, 2, "x")]
    assert aligned([Span(5, 10, "x")], offsets) == [Span(1, 3, "x")]  # begins inside a token: takes all of it
    assert aligned([Span(10, 12, "x")], offsets) == []
    assert aligned([Span(0, 5, "x"), Span(5, 9, "y"), Span(12, 13, "z")], offsets) == [Span(0, 2, "x"), Span(3, 4, "z")]
