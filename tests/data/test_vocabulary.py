import json
import random
from collections import Counter

import numpy as np
import pytest

from headgate.data.vocabulary import Vocabulary

SEED = 21


def test_the_most_frequent_come_first_and_ties_in_order():
    vocabulary = Vocabulary.learn("bacabad")
    assert vocabulary.words == ("a", "b", "c", "d")
    assert [vocabulary.number(w) for w in "abcd"] == [2, 3, 4, 5]
    assert len(vocabulary) == 6


def test_counts_serve_as_well_as_words():
    words = list("bacabad")
    assert Vocabulary.learn(Counter(words), 2).words == Vocabulary.learn(words, 2).words == ("a", "b")


def test_the_seldom_and_the_many_are_unknown():
    words = list("aaabbc")
    assert Vocabulary.learn(words, smallest_count=2).words == ("a", "b")
    assert Vocabulary.learn(words, largest_size=1).words == ("a",)
    assert Vocabulary.learn(words, largest_size=1).number("c") == Vocabulary.UNKNOWN


def test_marks_are_not_words():
    vocabulary = Vocabulary.learn(["<start>", "<unknown>", "x"], marks=["<start>", "<end>"])
    assert vocabulary.mark("<start>") == 2
    assert vocabulary.mark("<end>") == 3
    assert vocabulary.number("<start>") == 4
    assert vocabulary.number("<end>") == vocabulary.number("<padding>") == Vocabulary.UNKNOWN
    assert [vocabulary.word(k) for k in range(4)] == ["<padding>", "<unknown>", "<start>", "<end>"]
    with pytest.raises(KeyError, match=r"no mark '<stop>'; there are: <start>, <end>"):
        vocabulary.mark("<stop>")


def test_numbers_of_a_text_are_those_of_its_characters():
    vocabulary = Vocabulary.learn("hello")
    numbers = vocabulary.numbers("hex")
    assert numbers.dtype == np.int32
    assert numbers.tolist() == [vocabulary.number("h"), vocabulary.number("e"), Vocabulary.UNKNOWN]


@pytest.mark.parametrize("number", [-1, 7])
def test_no_word_has_a_number_out_of_range(number):
    with pytest.raises(IndexError, match=f"number {number} was asked for, but there are 6"):
        Vocabulary.learn("hello").word(number)


@pytest.mark.parametrize(("words", "marks"), [(["a", "a"], []), (["a"], ["m", "m"])])
def test_nothing_stands_twice(words, marks):
    with pytest.raises(ValueError, match="stands twice"):
        Vocabulary(words, marks)


@pytest.mark.parametrize(
    "found", [{}, [], {"words": ["a"], "marks": None}, {"words": [1], "marks": []}, {"words": "a"}]
)
def test_what_is_no_vocabulary_is_refused(found):
    with pytest.raises(ValueError, match="expected lists of strings"):
        Vocabulary.from_json(found)


def test_random_vocabularies_there_and_back():
    draw = random.Random(SEED)
    for _ in range(300):
        words = ["".join(draw.choices("ab\u0301<>é 好\ud800", k=draw.randrange(4))) for _ in range(draw.randrange(40))]
        smallest, largest = draw.randrange(4), draw.choice([None, 0, 3])
        vocabulary = Vocabulary.learn(words, smallest, largest, ["<m>"])
        again = Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json())))
        assert (again.words, again.marks) == (vocabulary.words, vocabulary.marks)
        counts = Counter(words)
        for word, number in zip(words, again.numbers(words), strict=True):
            assert again.word(number) == (word if word in again else "<unknown>")
        assert all(counts[w] >= smallest for w in again.words)
        lost = [counts[w] for w in counts if w not in again and counts[w] >= smallest]
        assert not lost or max(lost) <= min((counts[w] for w in again.words), default=max(lost))
