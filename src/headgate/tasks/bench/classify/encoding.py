"""Texts and series to numbers: what is learned from the training rows, and the rows that come of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from headgate.data import DataError, Example
from headgate.data.tokens import tokenise
from headgate.data.vocabulary import Vocabulary
from headgate.tasks.bench.classify.options import Options
from headgate.tasks.bench_task import Encoding, Row

# More labels than this are no classes.
MOST_LABELS = 20_000
# A series of more steps than this is read by frames, several steps as one. On validation rows of PLAID (500 steps) a
# network that reads frames of 12 comes further in a third of the time than one that reads frames of 4.
STEPS = 48
# So many numbers tell the spread of channels.
SAMPLED = 1_000_000
# Standard deviations of a normal distribution in its median distance from the median.
NORMAL = 1.4826
KINDS = {str: "text", np.ndarray: "series"}


class Scaler:
    """The usual value and spread of each channel, from a sample of all steps; missing values left out.

    Args:
        channels: I.
    """

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self._steps = np.empty((max(1000, SAMPLED // channels), channels), np.float32)
        self._random = np.random.default_rng(0)
        self._seen = 0
        self.missing = 0

    def add(self, values: np.ndarray) -> None:
        """A series [T, I]; every step of all series has the same chance to stay (Vitter 1985, algorithm R)."""
        self.missing += int(np.isnan(values).sum())
        room = len(self._steps)
        places = np.arange(self._seen, self._seen + len(values))
        late = places >= room
        places[late] = self._random.integers(0, places[late] + 1)
        kept = places < room
        self._steps[places[kept]] = values[kept]
        self._seen += len(values)

    def found(self) -> tuple[np.ndarray, np.ndarray]:
        """Median and spread of each channel, [I] both.

        The spread is the median distance from the median, as large as the standard deviation of normal numbers; the
        standard deviation itself where over half the values are the same; 1 for a constant. Unlike mean and deviation
        they are not decided by a few large values.
        """
        steps = self._steps[: self._seen].astype(np.float64)
        steps = np.ma.masked_invalid(steps)
        middle = np.ma.median(steps, 0)
        spread = np.ma.median(np.abs(steps - middle), 0).filled(0) * NORMAL
        deviation = steps.std(0).filled(0)
        spread = np.where(spread > 0, spread, deviation)
        return middle.filled(0), np.where(spread > 0, spread, 1.0)


def learn(examples: Iterable[Example], options: Options) -> Encoding:
    """Labels with their counts, and the vocabulary of texts or the scaler of series.

    Raises:
        DataError: no row, one label alone, a label of its own for every row, texts and series mixed, or series with
            different channels.
    """
    found = _Counts(options)
    for example in examples:
        found.add(example)
    return found.encoding()


class _Counts:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._kind: str | None = None
        self._labels: Counter[str] = Counter()
        self._words: Counter[str] = Counter()
        self._lengths: Counter[int] = Counter()
        self._scaler: Scaler | None = None
        self._sets = self._several = False

    def add(self, example: Example) -> None:
        kind = KINDS[type(example.input)]
        self._kind = self._kind or kind
        if kind != self._kind:
            raise DataError(f"{example.place} is {kind}, but the rows before it are {self._kind}; train on one kind.")
        labels = label_set(example.target)
        self._sets |= not isinstance(example.target, str)
        self._several |= len(labels) != 1
        self._labels.update(labels)
        if len(self._labels) > MOST_LABELS:
            raise DataError(f"{example.place}: there are over {MOST_LABELS:,} labels, so these are no classes.")
        if kind == "text":
            words = tokenise(example.input, self._options.lower)
            self._words.update(words)
            self._lengths[len(words)] += 1
            return
        if self._scaler is None:
            self._scaler = Scaler(example.input.shape[1])
        check_channels(example, self._scaler.channels)
        self._scaler.add(example.input)
        self._lengths[len(example.input)] += 1

    def encoding(self) -> Encoding:
        rows = self._lengths.total()
        if not rows:
            raise DataError("the training files hold no rows; give at least one of each label.")
        multi = self._several or bool(self._options.label_separator)
        if not multi:
            self._refuse_useless(rows)
        names = sorted(self._labels, key=_natural)
        encoding: Encoding = {
            "kind": self._kind,
            "labels": names,
            "counts": [self._labels[name] for name in names],
            "multi": multi,
            "rows": rows,
            "longest": max(self._lengths),
        }
        return encoding | (self._texts() if self._kind == "text" else self._series())

    def _refuse_useless(self, rows: int) -> None:
        if len(self._labels) == 1:
            raise DataError(f"every row has the label {next(iter(self._labels))!r}; at least two labels are needed.")
        if len(self._labels) == rows and rows > 10:
            raise DataError(f"each of {rows:,} rows has a label of its own; name a column of classes.")

    def _texts(self) -> Encoding:
        options = self._options
        known = Vocabulary.learn(self._words, options.smallest_count, options.largest_vocabulary)
        return {"vocabulary": known.to_json(), "lower": options.lower}

    def _series(self) -> Encoding:
        channels = self._scaler.channels
        middle, spread = self._scaler.found()
        frame = self._options.frame or max(1, math.ceil(_usual_most(self._lengths) / STEPS))
        missing = self._scaler.missing > 0
        return {
            "channels": channels,
            "middle": middle.tolist(),
            "spread": spread.tolist(),
            "missing": missing,
            "frame": frame,
            "features": channels * frame * (2 if missing else 1),
        }


def _usual_most(lengths: Counter[int]) -> int:
    """A length that nine rows of ten do not pass."""
    seen, rows = 0, lengths.total()
    for length in sorted(lengths):
        seen += lengths[length]
        if seen >= 0.9 * rows:
            return length
    return 0


def _natural(label: str) -> tuple[bool, float, str]:
    """Numbers by size, before words by their characters."""
    try:
        value = float(label)
    except ValueError:
        return True, 0.0, label
    return (False, value, label) if math.isfinite(value) else (True, 0.0, label)


def label_set(target: str | list[str] | None) -> list[str]:
    """The labels of a row, each once."""
    return [target] if isinstance(target, str) else list(dict.fromkeys(target or ()))


def check_channels(example: Example, channels: int) -> None:
    """Raises DataError where a series has other channels than the training rows."""
    found = example.input.shape[1]
    if found != channels:
        raise DataError(f"{example.place} has {found} channels, but {channels} were expected, as the first row has.")


def encode(examples: Iterable[Example], encoding: Encoding, options: Options) -> Iterator[Row]:
    """Rows of "words" int32 [T] or "values" float32 [T, I], and "label".

    That is a number (below 0 for a label that training does not have, one for each), or uint8 [labels] where a row may
    have several.

    Raises:
        DataError: a row without a label, with several where there is to be one, or of another kind or width.
    """
    numbers = {name: k for k, name in enumerate(encoding["labels"])}
    inputs, strange = Inputs(encoding), {}
    for example in examples:
        if example.target is None:
            raise DataError(f"{example.place} has no label; give one, or leave the row out.")
        labels = label_set(example.target)
        if encoding["multi"]:
            label = np.zeros(len(numbers), np.uint8)
            label[[numbers[name] for name in labels if name in numbers]] = 1
        elif len(labels) != 1:
            raise DataError(f"{example.place} has {len(labels)} labels, but every row of the training files has one.")
        else:
            own = labels[0]
            label = np.array(numbers[own] if own in numbers else strange.setdefault(own, -1 - len(strange)))
        yield inputs.row(example) | {"label": label}


class Inputs:
    """Examples to the numbers that the network reads.

    Args:
        encoding: of `learn`.
    """

    def __init__(self, encoding: Encoding) -> None:
        self._encoding, self.kind = encoding, encoding["kind"]
        if self.kind == "text":
            self.field = "words"
            self._vocabulary = Vocabulary.from_json(encoding["vocabulary"])
        else:
            self.field = "values"
            self._middle, self._spread = (np.array(encoding[name]) for name in ("middle", "spread"))

    def row(self, example: Example) -> dict[str, np.ndarray]:
        """Raises DataError for a series where a text was expected, and the other way round."""
        if KINDS[type(example.input)] != self.kind:
            found = KINDS[type(example.input)]
            raise DataError(f"{example.place} is {found}, but the model was trained on {self.kind}.")
        if self.kind == "text":
            words = self.words(example)
            # A row without words is read as one that is not known: every row has a step.
            return {"words": self._vocabulary.numbers(words) if words else np.array([Vocabulary.UNKNOWN], np.int32)}
        check_channels(example, self._encoding["channels"])
        return {"values": self._frames(example.input)}

    def words(self, example: Example) -> list[str]:
        """The words of a text."""
        return tokenise(example.input, self._encoding["lower"])

    def read(self, numbers: Iterable[int]) -> list[str]:
        """The words that the network knows by these numbers."""
        return [self._vocabulary.word(number) for number in numbers]

    def notes(self, example: Example) -> list[str]:
        """What is unusual about a row, for the person who reads its answer."""
        longest = self._encoding["longest"]
        if self.kind == "text":
            words = self.words(example)
            unknown = [word for word in dict.fromkeys(words) if word not in self._vocabulary]
            notes = [] if words else ["empty: nothing to judge by"]
            if unknown:
                more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
                notes.append(f"unknown words: {', '.join(unknown[:5])}{more}")
            length, unit = len(words), "words"
        else:
            length, unit = len(example.input), "steps"
            missing = int(np.isnan(example.input).sum())
            before = "" if self._encoding["missing"] else "; training had none"
            notes = [f"{missing} missing values{before}"] if missing else []
        if length > longest:
            notes.append(f"longer than trained: {length} {unit}, at most {longest} in training")
        return notes

    def _frames(self, values: np.ndarray) -> np.ndarray:
        """Standardised channels, large values drawn in by asinh; missing ones are the median, and marked where training
        had some; `frame` steps side by side as one, the last filled up.
        """
        there = ~np.isnan(values)
        scaled = np.arcsinh(np.where(there, (values - self._middle) / self._spread, 0)).astype(np.float32)
        if self._encoding["missing"]:
            scaled = np.concatenate([scaled, (~there).astype(np.float32)], 1)
        frame = self._encoding["frame"]
        scaled = np.pad(scaled, [(0, -len(scaled) % frame), (0, 0)])
        return scaled.reshape(-1, frame * scaled.shape[1])
