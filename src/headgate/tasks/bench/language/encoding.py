"""What is learned of a text before any network sees it: its units, and how often they come; and text to rows."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np

from headgate.data import DataError
from headgate.data.corpus import Passage
from headgate.data.subwords import Subwords
from headgate.data.vocabulary import Vocabulary
from headgate.tasks.bench.language.options import Options
from headgate.tasks.bench.language.tally import Tally
from headgate.tasks.bench.language.units import END, code_points, split_words, units_of

# A text of more characters than this is read in pieces of words, unless told otherwise.
CHARACTERS_UP_TO = 8_000_000
LARGEST_VOCABULARY = {"words": 50_000, "pieces": 8_000}
SMALLEST_COUNT = {"words": 2}
# Passages of the text in which pieces are counted, drawn at random from all of it.
COUNTED_PASSAGES, SEED = 128, 0
# No code point; stands for END while characters are counted.
END_CODE = 0x110000
# With so many documents, what a text begins with is learned from their beginnings, else from those of its lines.
DOCUMENTS_ENOUGH = 100


def learn(examples: Iterable[Passage], options: Options) -> dict[str, Any]:
    """The encoding of a text, in JSON types.

    Returns:
        units: "characters", "words" or "pieces"; vocabulary or pieces: what they are; lower.
        counts, pairs: see `Tally.named`, END among the units.
        documents, characters: how many there are.
        start: the number of the unit after which a text begins.
        steps, random_steps: how batches are read.

    Raises:
        DataError: there is no text.
    """
    passages = _counted(examples, totals := {"documents": 0, "characters": 0})
    kind, passages = _kind(passages, options)
    least = options.smallest_count or SMALLEST_COUNT.get(kind, 1)
    most = options.largest_vocabulary or LARGEST_VOCABULARY.get(kind)
    if kind == "pieces":
        found = _learn_pieces(passages, most, max(least, 2), options.lower)
    else:
        tallied = _tally_characters if kind == "characters" else _tally_words
        found = _learn_vocabulary(*tallied(passages, options.lower), least, most)
    if not totals["characters"]:
        raise DataError("There is no text for training; give a file with some, or hold out less of it.")
    encoding = {"units": kind, "lower": options.lower, "steps": options.steps, "random_steps": options.random_steps}
    encoding |= found | totals
    units = units_of(encoding)
    newline = units.measured("\n")[0]
    lines = totals["documents"] < DOCUMENTS_ENOUGH and len(newline) == 1 and encoding["counts"][newline[0]] > 0
    return encoding | {"start": int(newline[0]) if lines and newline[0] != units.unknown else units.end}


def rows(examples: Iterable[Passage], encoding: Mapping[str, Any]) -> Iterator[dict[str, np.ndarray]]:
    """A row a passage.

    Fields: units [n] int32, END before each document; widths [n] int32, the characters of each, of characters left out;
    starts [documents] int64, where in the units of all rows an END stands.
    """
    units, at = units_of(encoding), 0
    for example in examples:
        numbers, widths = units.measured(example.input)
        starts = np.empty(0, np.int64)
        if example.begins:
            numbers, widths = np.insert(numbers, 0, units.end), np.insert(widths, 0, 0)
            starts = np.asarray([at], np.int64)
        at += len(numbers)
        row = {"units": numbers.astype(np.int32), "starts": starts}
        yield row if encoding["units"] == "characters" else row | {"widths": widths.astype(np.int32)}


def _counted(examples: Iterable[Passage], totals: dict[str, int]) -> Iterator[Passage]:
    for example in examples:
        totals["documents"] += example.begins
        totals["characters"] += len(example.input)
        yield example


def _kind(passages: Iterator[Passage], options: Options) -> tuple[str, Iterator[Passage]]:
    if options.units != "auto":
        return options.units, passages
    seen: list[Passage] = []
    size = 0
    for passage in passages:
        seen.append(passage)
        size += len(passage.input)
        if size > CHARACTERS_UP_TO:
            return "pieces", chain(seen, passages)
    return "characters", iter(seen)


def _tally_characters(passages: Iterable[Passage], lower: bool) -> tuple[Tally, dict[str, int], int]:
    tally = Tally()
    for passage in passages:
        codes = code_points(passage.input.lower() if lower else passage.input)
        tally.add(np.insert(codes, 0, END_CODE) if passage.begins else codes)
    return tally, {chr(code): code for code in tally.units if code != END_CODE}, END_CODE


def _tally_words(passages: Iterable[Passage], lower: bool) -> tuple[Tally, dict[str, int], int]:
    tally, known = Tally(), {}
    for passage in passages:
        words, _ = split_words(passage.input, lower)
        numbers = [known.setdefault(word, len(known) + 1) for word in words]
        tally.add(np.asarray([0, *numbers] if passage.begins else numbers, np.uint64))
    return tally, known, 0


def _learn_vocabulary(tally: Tally, known: dict[str, int], end: int, least: int, most: int | None) -> dict[str, Any]:
    counts = {word: tally.units[number] for word, number in known.items()}
    vocabulary = Vocabulary.learn(counts, least, most, marks=[END])
    names = {known[word]: vocabulary.number(word) for word in vocabulary.words} | {end: vocabulary.mark(END)}
    return {"vocabulary": vocabulary.to_json()} | tally.named(names, Vocabulary.UNKNOWN, len(vocabulary))


def _learn_pieces(passages: Iterable[Passage], size: int, least: int, lower: bool) -> dict[str, Any]:
    drawn: list[Passage] = []
    random_ = random.Random(SEED)

    def texts() -> Iterator[str]:
        """All texts, on whose way some are drawn, each as likely as any other (Vitter 1985, algorithm R)."""
        for k, passage in enumerate(passages):
            if k < COUNTED_PASSAGES:
                drawn.append(passage)
            elif (place := random_.randrange(k + 1)) < COUNTED_PASSAGES:
                drawn[place] = passage
            yield passage.input

    subwords = Subwords.learn(texts(), size, lower, [END], least)
    tally = Tally()
    for passage in drawn:
        numbers = subwords.numbers(passage.input)
        tally.add(np.insert(numbers, 0, subwords.mark(END)) if passage.begins else numbers)
    numbers = {number: number for number in range(len(subwords))}
    return {"pieces": subwords.to_json()} | tally.named(numbers, subwords.PADDING, len(subwords))


