"""Sentences to numbers: what is learned from the training sentences, and the rows that come of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from headgate.data import DataError, Example
from headgate.data.spans import OUTSIDE, PLAIN, Scheme, Span, Witness, aligned, spans_of, tags_of
from headgate.data.tokens import tokenise
from headgate.data.vocabulary import Vocabulary
from headgate.tasks.bench.tag.options import Options
from headgate.tasks.bench_task import Encoding, Row

# A longer word is spelled by its beginning and its end.
LONGEST_WORD = 30
MOST_TAGS = 2_000
# How a word is written; the place in the list is its number.
CASES = ("small", "UPPER", "Title", "mIxed", "digits", "with digits", "signs")


def learn(examples: Iterable[Example], options: Options) -> Encoding:
    """Words, characters, tags, the scheme they are in, and the most frequent tag of each word.

    Raises:
        DataError: no sentence, no tag but one, or texts and tokens mixed.
    """
    words: Counter[str] = Counter()
    characters: Counter[str] = Counter()
    tags: defaultdict[str, Counter[str]] = defaultdict(Counter)
    labels: set[str] = set()
    witness = Witness()
    kinds: set[type] = set()
    sentences = longest = 0
    for example in examples:
        kinds.add(type(example.input))
        if len(kinds) > 1:
            raise DataError(f"{example.place}: texts with spans and tokens with tags are mixed; train on one kind.")
        sentence = Sentence.of(example)
        own = _answers(example, sentence)
        witness.look(own)
        for token, tag in zip(sentence.tokens, own, strict=True):
            key = token.lower() if options.lower else token
            words[key] += 1
            tags[key][tag] += 1
            characters.update(token)
        labels.update(own)
        if len(labels) > MOST_TAGS:
            raise DataError(f"{example.place}: there are over {MOST_TAGS:,} tags; say which column they stand in.")
        sentences, longest = sentences + 1, max(longest, len(own))
    if not words:
        raise DataError("the training files hold no tokens; give sentences with tags.")
    if len(labels) < 2:
        raise DataError(f"every token has the tag {next(iter(labels))!r}; at least two tags are needed.")
    known = Vocabulary.learn(words, options.smallest_count, options.largest_vocabulary)
    usual = sum(tags.values(), Counter()).most_common(1)[0][0]
    scheme = witness.scheme()
    return {
        "scheme": asdict(scheme),
        "tags": inner_tags(labels, scheme),
        "vocabulary": known.to_json(),
        "characters": Vocabulary.learn(characters).to_json(),
        "rare": [known.number(word) for word in known.words if words[word] == 1],
        "usual": usual,
        "usual_of": [_most_frequent(tags[word]) for word in known.words],
        "lower": options.lower,
        "sentences": sentences,
        "longest": longest,
    }


def _most_frequent(tags: Counter[str]) -> str:
    return min(tags, key=lambda tag: (-tags[tag], tag))


def inner(scheme: Scheme) -> Scheme:
    """The scheme that is learned: BIOES tells most, where what was read can write what it says."""
    return scheme if scheme.name in (PLAIN, "IO") else Scheme("BIOES")


def inner_tags(labels: Iterable[str], scheme: Scheme) -> list[str]:
    """All tags of the scheme that is learned, sorted, O first."""
    if inner(scheme).name == PLAIN:
        return sorted(labels)
    kinds = sorted({span.label for tag in labels for span in spans_of([tag], scheme)})
    lengths = (1, 3)  # together they have every letter
    found = {tag for kind in kinds for n in lengths for tag in tags_of([Span(0, n, kind)], n, inner(scheme))}
    return [OUTSIDE, *sorted(found)]


@dataclass(frozen=True)
class Sentence:
    """Tokens, and where each stands in the text if there is one.

    Attributes:
        tokens: strings.
        offsets: of characters, [start, end) each; None where tokens were given.
    """

    tokens: list[str]
    offsets: list[tuple[int, int]] | None = None

    @classmethod
    def of(cls, example: Example) -> Sentence:
        """The tokens of an example's text, or those it has."""
        if not isinstance(example.input, str):
            return cls(example.input)
        text, offsets, at = example.input, [], 0
        tokens = tokenise(text)
        for token in tokens:
            start = text.index(token, at)  # only white space lies between
            at = start + len(token)
            offsets.append((start, at))
        return cls(tokens, offsets)


def _answers(example: Example, sentence: Sentence) -> list[str]:
    """The tags as they stand, or, of spans in a text, in BIO."""
    if example.target is None:
        raise DataError(f"{example.place} has no tags; give some, or leave the sentence out.")
    if sentence.offsets is None:
        return example.target
    return tags_of(aligned(example.target, sentence.offsets), len(sentence.tokens), Scheme("BIO"))


def encode(examples: Iterable[Example], encoding: Encoding, options: Options) -> Iterator[Row]:
    """Rows of words, cases and tags [T] int, and the spelling of all words in a row [characters], with `letters` [T].

    A tag of training does not know is -1. An empty sentence makes no row.
    """
    inputs = Inputs(encoding)
    scheme = Scheme(**encoding["scheme"])
    numbers = {tag: k for k, tag in enumerate(encoding["tags"])}
    for example in examples:
        sentence = Sentence.of(example)
        spans = spans_of(_answers(example, sentence), scheme)
        tags = tags_of(spans, len(sentence.tokens), inner(scheme))
        if tags:
            yield inputs.row(sentence) | {"tags": np.array([numbers.get(tag, -1) for tag in tags], np.int64)}


class Inputs:
    """Sentences to the numbers that the network reads.

    Args:
        encoding: of `learn`.
    """

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._words = Vocabulary.from_json(encoding["vocabulary"])
        self._characters = Vocabulary.from_json(encoding["characters"])

    def _key(self, token: str) -> str:
        return token.lower() if self._encoding["lower"] else token

    def row(self, sentence: Sentence) -> dict[str, np.ndarray]:
        """Words and cases [T], letters [T] (characters that each word is spelled by), characters [sum of letters]."""
        spelled = [_cut(token) for token in sentence.tokens]
        return {
            "words": self._words.numbers(map(self._key, sentence.tokens)),
            "cases": np.array([case(token) for token in sentence.tokens], np.int32),
            "letters": np.array([len(token) for token in spelled], np.int32),
            "characters": self._characters.numbers("".join(spelled)),
        }

    def notes(self, sentence: Sentence) -> list[str]:
        """What is unusual about a sentence, for the person who reads its tags."""
        if not sentence.tokens:
            return ["empty: nothing to tag"]
        unknown = [token for token in dict.fromkeys(sentence.tokens) if self._key(token) not in self._words]
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        notes = [f"unknown words: {', '.join(unknown[:5])}{more}"] if unknown else []
        longest = self._encoding["longest"]
        if len(sentence.tokens) > longest:
            notes.append(f"longer than trained: {len(sentence.tokens)} words, at most {longest} in training")
        return notes


def case(token: str) -> int:
    """How a word is written, as a place in CASES."""
    if token.isnumeric():
        return CASES.index("digits")
    if any(sign.isdigit() for sign in token):
        return CASES.index("with digits")
    if not any(sign.isalpha() for sign in token):
        return CASES.index("signs")
    if token.islower() or token.lower() == token.upper():
        return CASES.index("small")
    if token.isupper():
        return CASES.index("UPPER")
    return CASES.index("Title" if token[0].isupper() and token[1:].islower() else "mIxed")


def _cut(token: str) -> str:
    half = LONGEST_WORD // 2
    return token if len(token) <= LONGEST_WORD else token[:half] + token[-half:]


def describe(examples: Iterable[Example]) -> dict[str, Any]:
    """Sentences, tokens, tags or spans with their counts, the scheme, lengths, and spans that cut a token."""
    witness, spans, lengths = Witness(), Counter(), Counter()
    tags: Counter[str] = Counter()
    words: set[str] = set()
    found = dict.fromkeys(("untagged", "empty", "duplicates", "cut_tokens"), 0)
    seen: set[tuple[str, ...]] = set()
    for example in examples:
        sentence = Sentence.of(example)
        key = tuple(sentence.tokens)
        found["duplicates"] += key in seen
        seen.add(key)
        words.update(key)
        lengths[len(key)] += 1
        found["empty"] += not key
        if example.target is None:
            found["untagged"] += 1
            continue
        if sentence.offsets is not None:
            edges = {edge for offset in sentence.offsets for edge in offset}
            found["cut_tokens"] += sum(not {span.start, span.end} <= edges for span in example.target)
        own = _answers(example, sentence)
        witness.look(own)
        tags.update(own)
        spans.update(span.label for span in spans_of(own, Scheme("BIO")))
    return {
        "sentences": lengths.total(),
        "tokens": sum(length * count for length, count in lengths.items()),
        "different_tokens": len(words),
        "scheme": witness.scheme().name,
        "tags": dict(tags.most_common()),
        "spans": dict(spans.most_common()),
        "longest": max(lengths, default=0),
        **found,
    }
