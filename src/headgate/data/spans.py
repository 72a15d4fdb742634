"""Spans of tokens and the tags that write them: IO, IOB1, BIO, BIOES, BILOU, BMEWO, or a label for every token.

Sources: Ramshaw & Marcus 1995 (IOB1), Tjong Kim Sang & Veenstra 1999 (BIO, which they call IOB2), Ratinov & Roth 2009
(BILOU). Tags that break their scheme are read by the rule of conlleval, the scorer of CoNLL-2000 and 2003: a span
begins at every first token of its kind, whatever the letter.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

OUTSIDE = "O"
PLAIN = "plain"  # a label for every token, as parts of speech
# The letters of (first, inside, last, only) tokens of a span.
LETTERS = {
    "IO": ("I", "I", "I", "I"),
    "BIO": ("B", "I", "I", "B"),
    "BIOES": ("B", "I", "E", "S"),
    "BILOU": ("B", "I", "L", "U"),
    "BMEWO": ("B", "M", "E", "W"),
}
SCHEMES = ("IO", "IOB1", "BIO", "BIOES", "BILOU", "BMEWO", PLAIN)
_TAG = re.compile(r"([BIESLUMW])([-_])(.+)", re.DOTALL)


class Span(NamedTuple):
    """Tokens (or characters) from `start` to before `end`, and what they are."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class Scheme:
    """How tags write spans.

    Attributes:
        name: one of SCHEMES.
        joint: between letter and label: "-" or "_".
        bare: IO whose tags are labels alone, without letters.
    """

    name: str
    joint: str = "-"
    bare: bool = False


class Witness:
    """Looks at the tags of sentences, one after another, and tells the scheme they are in."""

    def __init__(self) -> None:
        self._letters: set[str] = set()
        self._joints: set[str] = set()
        self._outside = self._unparsed = False
        self._inside_first = False  # an I that begins a span
        self._needless = False  # a B where the token before is of another kind, so that I would do

    def look(self, tags: Sequence[str]) -> None:
        """The tags of a sentence."""
        before = (OUTSIDE, "")
        for tag in tags:
            if tag == OUTSIDE:
                self._outside, before = True, (OUTSIDE, "")
                continue
            found = _TAG.fullmatch(tag)
            if found is None:
                self._unparsed, before = True, (OUTSIDE, "")
                continue
            letter, joint, label = found.groups()
            self._letters.add(letter)
            self._joints.add(joint)
            follows = before[0] != OUTSIDE and before[1] == label
            self._inside_first |= letter == "I" and not follows
            self._needless |= letter == "B" and not follows
            before = (letter, label)

    def scheme(self) -> Scheme:
        """The scheme of all tags seen.

        Where O stands beside tags without letters, these are the labels of IO; where neither is seen, or letters that
        no scheme has together, every token has a label of its own.
        """
        if self._unparsed or len(self._joints) > 1 or not self._letters:
            lettered = bool(self._letters)
            return Scheme("IO", bare=True) if self._outside and self._unparsed and not lettered else Scheme(PLAIN)
        joint = next(iter(self._joints))
        if self._letters == {"I"}:
            return Scheme("IO", joint)
        if self._letters == {"B", "I"} and self._inside_first and not self._needless:
            return Scheme("IOB1", joint)
        fitting = (name for name in ("BIO", "BIOES", "BILOU", "BMEWO") if self._letters <= set(LETTERS[name]))
        return Scheme(next(fitting, PLAIN), joint)


def spans_of(tags: Sequence[str], scheme: Scheme) -> list[Span]:
    """The spans that a sentence's tags write, by the rule of conlleval."""
    if scheme.name == PLAIN:
        return [Span(k, k + 1, tag) for k, tag in enumerate(tags)]
    spans: list[Span] = []
    open_ = False  # whether the last span may go on
    for k, tag in enumerate(tags):
        letter, label = _parts(tag, scheme)
        if letter == OUTSIDE:
            open_ = False
        elif open_ and spans[-1].label == label and letter not in "BSUW":
            spans[-1] = spans[-1]._replace(end=k + 1)
            open_ = letter not in "ESLUW"
        else:
            spans.append(Span(k, k + 1, label))
            open_ = letter not in "ESLUW"
    return spans


def tags_of(spans: Iterable[Span], length: int, scheme: Scheme) -> list[str]:
    """The tags of a sentence of `length` tokens with these spans.

    Raises:
        ValueError: two spans overlap, or one ends past the sentence.
    """
    tags = [OUTSIDE] * length
    spans = sorted(spans)
    for before, span in zip([None, *spans], spans, strict=False):
        if not 0 <= span.start < span.end <= length or (before is not None and before.end > span.start):
            raise ValueError(f"span {tuple(span)} does not fit into {length} tokens beside {before and tuple(before)}.")
        for k in range(span.start, span.end):
            tags[k] = _tag(span, k, before, scheme)
    return tags


def _tag(span: Span, k: int, before: Span | None, scheme: Scheme) -> str:
    if scheme.name == PLAIN or scheme.bare:
        return span.label
    if scheme.name == "IOB1":
        touches = before is not None and before.end == span.start and before.label == span.label
        letter = "B" if touches and k == span.start else "I"
    else:
        first, inside, last, only = LETTERS[scheme.name]
        ends = (k == span.start, k == span.end - 1)
        letter = {(True, True): only, (True, False): first, (False, True): last}.get(ends, inside)
    return f"{letter}{scheme.joint}{span.label}"


def _parts(tag: str, scheme: Scheme) -> tuple[str, str]:
    if tag == OUTSIDE:
        return OUTSIDE, ""
    if scheme.bare:
        return "I", tag
    found = _TAG.fullmatch(tag)
    return (found[1], found[3]) if found else ("I", tag)


def may_follow(before: str | None, after: str | None, scheme: Scheme) -> bool:
    """Whether a scheme lets one tag follow another; None stands for the sentence's beginning or end."""
    if scheme.name in ("IO", "IOB1", PLAIN):
        return True
    first, inside, last, only = LETTERS[scheme.name]
    (left, kind), (right, own) = (_parts(tag or OUTSIDE, scheme) for tag in (before, after))
    begins = {OUTSIDE, first, only}
    if scheme.name == "BIO":
        return right in begins or (left != OUTSIDE and kind == own)
    if left in (first, inside):
        return right in (inside, last) and kind == own
    return right in begins


def aligned(spans: Iterable[Span], offsets: Sequence[tuple[int, int]]) -> list[Span]:
    """Spans of characters as spans of tokens; one that begins or ends inside a token takes all of it.

    Args:
        spans: of characters.
        offsets: where each token begins and ends, ascending.

    Returns:
        Spans of tokens, ascending; one over white space alone is left out, and of two that meet in a token the later
        one loses it.
    """
    starts, ends = [start for start, _ in offsets], [end for _, end in offsets]
    found: list[Span] = []
    for span in sorted(spans):
        first, behind = bisect_right(ends, span.start), bisect_left(starts, span.end)
        first = max(first, found[-1].end) if found else first
        if first < behind:
            found.append(Span(first, behind, span.label))
    return found
