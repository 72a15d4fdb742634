"""Text to units and rows, and what is counted on the way."""

from __future__ import annotations

import json
import random
from collections import Counter

import numpy as np
import pytest
from tasks.bench.language_texts import TEXT, documents, prepared, read, written

from headgate.data import DataError
from headgate.data.corpus import Passage
from headgate.data.example import Place
from headgate.tasks.bench.language import TASK, encoding
from headgate.tasks.bench.language import tally as tally_
from headgate.tasks.bench.language.options import UNITS, Options
from headgate.tasks.bench.language.tally import Bigrams, Tally
from headgate.tasks.bench.language.units import units_of
from headgate.tasks.settings import Learning

SEED = 31
KINDS = UNITS[1:]


@pytest.mark.parametrize("kind", KINDS)
def test_units_are_the_text(tmp_path, kind):
    _, found, store = prepared(tmp_path, units=kind, smallest_count=1)
    found = json.loads(json.dumps(found))
    units, column = units_of(found), store.column("units")
    assert column[0] == units.end and store.column("starts").tolist() == [0]
    writer = units.writer()
    again = "".join(writer.write(int(n)) for n in column[1:])
    # Of words, the spaces around quotation marks are not known.
    assert again == TEXT if kind != "words" else "".join(again.split()) == "".join(TEXT.split())
    widths = store.column("widths") if "widths" in store.fields else np.ones(len(column) - 1, int)
    assert widths.sum() == found["characters"] == len(TEXT)
    assert np.bincount(column, minlength=len(units)).tolist() == found["counts"]


def test_words_are_spaced_as_english_is():
    text = "He said (twice): no!\nIt's 12:30."
    found = TASK.learn([Passage(text, None, Place("x"))], Options(units="words", smallest_count=1))
    units = units_of(found)
    writer = units.writer()
    assert "".join(writer.write(int(n)) for n in units.measured(text)[0]) == text


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_small_letters_where_asked(kind, lower):
    text = "The THE the"
    found = TASK.learn([Passage(text, None, Place("x"))], Options(units=kind, lower=lower, smallest_count=1))
    numbers, widths = units_of(found).measured("THE the")
    half = len(numbers) // 2
    assert (len(set(numbers.tolist())) == len(set(units_of(found).measured("the the")[0].tolist()))) == lower
    assert half and widths.sum() == 7


def test_what_is_seldom_is_unknown_and_counted_so(tmp_path):
    _, found, store = prepared(tmp_path, "a a a b b c", units="words")
    units = units_of(found)
    assert units.strange("c a d") == ["c", "d"]
    assert found["counts"][units.unknown] == 1 and store.column("units")[-1] == units.unknown
    _, few, _ = prepared(tmp_path, "a a a b b c", units="words", largest_vocabulary=1)
    assert len(units_of(few)) == len(units) - 1


def test_a_small_text_is_characters_and_a_large_one_pieces(monkeypatch):
    examples = [Passage("abc " * 20, None, Place("x"), k == 0) for k in range(3)]
    assert TASK.learn(iter(examples), Options())["units"] == "characters"
    monkeypatch.setattr(encoding, "CHARACTERS_UP_TO", 100)
    found = TASK.learn(iter(examples), Options())
    assert found["units"] == "pieces"
    # What was read to find out is not lost.
    numbers, _ = units_of(found).measured("abc " * 20)
    assert found["characters"] == 240 and sum(found["counts"][1:]) == 1 + 3 * len(numbers)


def test_a_text_begins_as_documents_do_where_there_are_enough(tmp_path, monkeypatch):
    paths = documents(tmp_path, ["one\ntwo\n"] * 3)
    few = TASK.learn(read(paths), Options())
    assert few["start"] == units_of(few).measured("\n")[0][0] and few["documents"] == 3
    monkeypatch.setattr(encoding, "DOCUMENTS_ENOUGH", 3)
    assert TASK.learn(read(paths), Options())["start"] == units_of(few).end
    unbroken = TASK.learn(read([written(tmp_path, "abc")]), Options())
    assert unbroken["start"] == units_of(unbroken).end


def test_each_document_has_its_beginning(tmp_path):
    paths = documents(tmp_path, ["ab", "c", "def"])
    found = TASK.learn(read(paths), Options())
    rows = list(TASK.encode(read(paths), found, Options()))
    assert np.concatenate([row["starts"] for row in rows]).tolist() == [0, 3, 5]
    end = units_of(found).end
    assert [len(row["units"]) for row in rows] == [3, 2, 4] and all(row["units"][0] == end for row in rows)
    assert found["counts"][end] == 3


def test_no_text_is_refused(tmp_path):
    with pytest.raises(DataError, match="no text for training"):
        TASK.learn(iter([]), Options())


@pytest.mark.parametrize("kind", KINDS)
def test_any_text_has_units(kind):
    draw = random.Random(SEED)
    found = TASK.learn([Passage(TEXT, None, Place("x"))], Options(units=kind))
    units = units_of(found)
    for _ in range(2000):
        text = "".join(draw.choices("abT ,.'\n\t\r\ud800\x00\x0b\u2028é日👍\u0301", k=draw.randrange(30)))
        numbers, widths = units.measured(text)
        assert len(numbers) == len(widths) and numbers.min(initial=0) >= 0 and numbers.max(initial=0) < len(units)
        assert widths.sum() == (len(text) if len(numbers) else 0)
        assert (units.unknown in numbers) == bool(units.strange(text))


@pytest.mark.parametrize(
    ("missing", "parts"),
    [
        (["test", "validation"], {"train": [(0, 40), (50, 90)], "validation": [(40, 50)], "test": [(90, 100)]}),
        (["test"], {"train": [(0, 90)], "test": [(90, 100)]}),
        (["validation"], {"train": [(0, 45), (55, 100)], "validation": [(45, 55)]}),
    ],
    ids=["both", "test", "validation"],
)
def test_the_end_is_for_the_test(tmp_path, missing, parts):
    text = "".join(map(chr, range(1000, 1100)))
    examples = read([written(tmp_path, text)])
    for split in ("train", *missing):
        found = TASK.part(examples, split, missing, Options(), Learning(holdout=0.1))
        assert [p.input for p in found] == [text[first:last] for first, last in parts[split]]


def test_pairs_are_counted_across_passages():
    tally, together = Tally(), Tally()
    for part in ([3, 1], [], [1], [3, 1]):
        tally.add(np.asarray(part))
    together.add(np.asarray([3, 1, 1, 3, 1]))
    assert tally.units == together.units == {1: 3, 3: 2}
    assert tally.pairs == together.pairs == {(3, 1): 2, (1, 1): 1, (1, 3): 1}
    named = tally.named({1: 5}, unknown=0, size=6)
    assert named == {"counts": [2, 0, 0, 0, 0, 3], "pairs": [[0, 5, 5], [5, 0, 5], [2, 1, 1]]}


def test_too_many_pairs_are_not_kept(monkeypatch):
    monkeypatch.setattr(tally_, "MOST_COUNTED", 3)
    found = Tally()
    for part in ([1, 2, 3, 4], [5], [6]):
        found.add(np.asarray(part))
    assert found.pairs is None and found.named({}, 0, 1)["pairs"] is None
    assert sum(found.units.values()) == 6


def kneser_ney(pairs: Counter, V: int, v: int, w: int) -> float:
    """The formula of `Bigrams`, written out once more."""
    n1, n2 = (sum(c == k for c in pairs.values()) for k in (1, 2))
    D = n1 / (n1 + 2 * n2)
    follows = Counter(b for _, b in pairs)
    Q = max(follows[w] - D, 0) / len(pairs) + D * len(follows) / len(pairs) / V
    total = sum(c for (a, _), c in pairs.items() if a == v)
    if not total:
        return Q
    return max(pairs[v, w] - D, 0) / total + D * sum(a == v for a, _ in pairs) / total * Q


def test_the_baseline_is_kneser_ney_and_adds_to_one():
    random_ = np.random.default_rng(SEED)
    numbers = random_.geometric(0.3, 200).clip(max=9)
    tally, V = Tally(), 12
    tally.add(numbers)
    found = tally.named({k: k for k in range(V)}, 0, V)
    bigrams = Bigrams(found)
    pairs = Counter(zip(numbers[:-1].tolist(), numbers[1:].tolist(), strict=True))
    each = bigrams.probabilities(np.repeat(np.arange(V), V), np.tile(np.arange(V), V)).reshape(V, V)
    expected = [[kneser_ney(pairs, V, v, w) for w in range(V)] for v in range(V)]
    np.testing.assert_allclose(each, expected, rtol=1e-12)
    np.testing.assert_allclose(each.sum(1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(each[np.arange(V), bigrams.likeliest()], each.max(1))
    alone = Bigrams(found | {"pairs": None})
    np.testing.assert_allclose(alone.probabilities(np.zeros(V, int), np.arange(V)).sum(), 1.0)
    assert (alone.likeliest() == np.argmax(found["counts"])).all()


@pytest.mark.parametrize(
    "wrong",
    [{"units": "lines"}, {"documents": "books"}, {"steps": 0}, {"weight_drop": 1.0}, {"slowness": -1.0}],
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Options(**wrong)


def test_running_text_is_told_from_tables(tmp_path):
    def sure(text, name):
        return TASK.fits(written(tmp_path, text, name), Options()).sureness

    assert sure(TEXT, "a.txt") > 0.5 > sure(TEXT, "a.dat") > sure("a,b\n1,2\n3,4\n", "a.txt")
    assert sure('{"a": 1}\n', "a.txt") < 0.3
    raw = tmp_path / "raw.txt"
    draw = random.Random(SEED)
    for _ in range(300):
        raw.write_bytes(bytes(draw.choices([0, 9, 10, 13, 44, 65, 123, 195, 255], k=draw.randrange(40))))
        assert 0 <= TASK.fits(raw, Options()).sureness <= 0.7
    assert TASK.fits(tmp_path / "gone.txt", Options()).sureness == 0


def test_what_a_text_holds_is_said(tmp_path):
    long = "a line that is long enough"
    paths = documents(tmp_path, [f"{long}\n\n{long}\nx\x07\ufffd\n", "last"])
    found = TASK.describe(read(paths))
    assert {k: found[k] for k in ("documents", "lines", "blank_lines", "repeated_lines", "longest_line")} == {
        "documents": 2,
        "lines": 5,
        "blank_lines": 1,
        "repeated_lines": 1,
        "longest_line": len(long),
    }
    assert found["control_characters"] == found["replacement_characters"] == 1
    assert found["characters"] == 2 * len(long) + 11 and "x" in found["examples_once"]
    json.dumps(found)
