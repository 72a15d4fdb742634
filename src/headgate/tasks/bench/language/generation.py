"""Text out of a trained network, unit by unit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from headgate.tasks.bench.language.network import LanguageModel
from headgate.tasks.bench.language.prediction import impossible, notes
from headgate.tasks.bench.language.units import units_of
from headgate.tasks.bench_task import Sample


def generate(
    network: LanguageModel,
    encoding: Mapping[str, Any],
    prompt: str = "",
    length: int = 500,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
) -> Sample:
    """Text that goes on from a prompt, drawn from what the network thinks likely.

    Args:
        network: trained, in evaluation mode.
        encoding: the one it was trained with.
        prompt: what stands before; it is not repeated.
        length: units, at most; fewer where a document ends, if training had several.
        temperature: the scores are divided by it; 0 takes the likeliest unit each time.
        top_k: draw among so many of the likeliest; 0 for all.
        top_p: draw among the likeliest that together have this probability (Holtzman et al. 2020).
        seed: the same one gives the same text.

    Returns:
        The parts of the text, and notes on the prompt.

    Raises:
        ValueError: a setting out of range.
    """
    for name, value, fine, expected in (
        ("length", length, length >= 1, "1 or more"),
        ("temperature", temperature, 0 <= temperature < math.inf, "0 or more"),
        ("top_k", top_k, top_k >= 0, "0 or more"),
        ("top_p", top_p, 0 < top_p <= 1, "above 0 and at most 1"),
    ):
        if not fine:
            raise ValueError(f"sample: {name}={value!r} came, but {expected} was expected.")
    units = units_of(encoding)
    said = notes(units, prompt) if prompt else []
    never = torch.tensor(impossible(units) + ([units.end] if encoding["documents"] < 2 else []))
    device = next(network.parameters()).device
    read = torch.tensor([encoding["start"], *units.measured(prompt)[0].tolist()], device=device)
    random = torch.Generator().manual_seed(seed)

    def parts() -> Iterator[str]:
        writer, state = units.writer(), None
        with torch.no_grad():
            scores, state, _, _ = network(read[:, None], None)
            scores = scores[-1]
        for _ in range(length):
            number = draw(scores[0].double().cpu().index_fill(0, never, -math.inf), temperature, top_k, top_p, random)
            if number == units.end:
                return
            if text := writer.write(number):
                yield text
            with torch.no_grad():
                scores, state = network.step(torch.tensor([number], device=device), state)

    return Sample(parts(), said)


def draw(scores: Tensor, temperature: float, top_k: int, top_p: float, random: torch.Generator) -> int:
    """A unit's number by its score, [V]; see `generate`."""
    if temperature == 0:
        return int(scores.argmax())
    ordered, numbers = (scores / temperature).sort(descending=True, stable=True)
    chances = ordered.softmax(0)
    if top_k:
        chances[top_k:] = 0.0
    if top_p < 1:
        # The one that reaches the sum is still among them.
        chances[(chances / chances.sum()).cumsum(0).roll(1).index_fill(0, torch.tensor([0]), 0.0) >= top_p] = 0.0
    return int(numbers[torch.multinomial(chances, 1, generator=random)])
