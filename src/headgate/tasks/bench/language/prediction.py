"""How likely texts are, and what would follow them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from headgate.data import Example
from headgate.tasks.bench.language.network import LanguageModel
from headgate.tasks.bench.language.units import PADDING, Units, units_of

AT_ONCE = 64
# Scores that are held at once, at most.
MOST_SCORES = 2**22
# Units that are named where a text holds unknown ones.
NAMED = 10


def predict(
    network: LanguageModel, examples: Iterable[Example], encoding: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """For each text, read after what texts begin with, in training.

    Yields:
        log_likelihood: of the text, in nats.
        bits_per_character, perplexity: of it; None where it is empty.
        units, characters: how many it has.
        next, next_probability: the likeliest unit to follow it.
        notes: units that are not known, or that there are none.
    """
    units, examples = units_of(encoding), iter(examples)
    while some := [example.input for example in islice(examples, AT_ONCE)]:
        numbers = [torch.from_numpy(units.measured(text)[0]).long() for text in some]
        with torch.no_grad():
            found = _follow(network, numbers, encoding["start"], units)
        for text, own, (likelihood, after) in zip(some, numbers, found, strict=True):
            count = len(own)
            yield {
                "log_likelihood": likelihood,
                "bits_per_character": -likelihood / math.log(2) / len(text) if text else None,
                "perplexity": math.exp(min(-likelihood / count, 700.0)) if count else None,
                "units": count,
                "characters": len(text),
                "next": units.name(int(after.argmax())),
                "next_probability": float(after.max()),
                "notes": notes(units, text),
            }


def notes(units: Units, text: str) -> list[str]:
    """What is unusual about a text, in sentences."""
    if not text:
        return ["there is no text; what follows is what texts begin with"]
    strange = units.strange(text)
    if not strange:
        return []
    named = ", ".join(map(repr, strange[:NAMED])) + (", ..." if len(strange) > NAMED else "")
    return [f"{len(strange)} {units.word}{'s' if len(strange) > 1 else ''} that training did not know: {named}"]


def impossible(units: Units) -> list[int]:
    """The numbers that are no text."""
    return [PADDING] if units.unknown is None else [PADDING, units.unknown]


def rows_of(state: Any, rows: Tensor | slice) -> Any:
    """Some of the rows of a state."""
    return state[:, rows] if isinstance(state, Tensor) else tuple(rows_of(part, rows) for part in state)


def _follow(
    network: nn.Module, texts: list[Tensor], start: int, units: Units
) -> list[tuple[float, Tensor]]:
    """Of each text: the log-likelihood, and the probabilities of what follows, [V]."""
    device = next(network.parameters()).device
    order = sorted(range(len(texts)), key=lambda k: -len(texts[k]))
    likelihoods, after = [0.0] * len(texts), [torch.empty(0)] * len(texts)
    # Each text is read after `start`; the last unit is read for what follows it.
    padded = nn.utils.rnn.pad_sequence([texts[k] for k in order])
    lengths = [len(texts[k]) for k in order]
    before = nn.functional.pad(padded, (0, 0, 1, 0), value=start).to(device)
    state, at, steps = None, 0, max(MOST_SCORES // (len(units) * len(order)), 1)
    while rows := sum(length >= at for length in lengths):
        state = state if state is None else rows_of(state, slice(rows))
        part = before[at : at + steps, :rows]
        scores, state, _, _ = network(part, state)
        log = scores.double().log_softmax(-1)
        for row in range(rows):
            own = min(lengths[row] - at, len(part))
            likelihoods[order[row]] += float(
                log[torch.arange(own), row, before[at + 1 : at + 1 + own, row]].sum()
            )
            if lengths[row] - at < len(part):
                last = log[lengths[row] - at, row].cpu().index_fill(0, torch.tensor(impossible(units)), -math.inf)
                after[order[row]] = last.softmax(-1)
        at += len(part)
    return list(zip(likelihoods, after, strict=True))
