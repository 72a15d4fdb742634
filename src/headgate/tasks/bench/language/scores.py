"""How well the next unit is foreseen: the network's metrics, also while it goes on learning, and the baseline's."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from headgate.data import DataError
from headgate.tasks.bench.language.network import LanguageModel, States
from headgate.tasks.bench.language.options import Options
from headgate.tasks.bench.language.tally import Bigrams
from headgate.tasks.bench_task import Batch, Metric, RowLosses

METRICS = {
    "bits_per_character": Metric("bits a character of the text costs, whatever the units", higher_is_better=False),
    "nats": Metric("nats a unit costs", higher_is_better=False),
    "perplexity": Metric("of a unit: e to the power of its nats", higher_is_better=False),
    "accuracy": Metric("share of units that were thought the likeliest"),
    "unknown": Metric("share of units that training did not know", higher_is_better=False),
}
LARGEST_EXPONENT = 700.0


def losses(network: LanguageModel, batch: Batch, state: States | None) -> RowLosses:
    """What each stream's targets cost, in nats, and the state to go on from."""
    if "fresh" in batch and bool(batch["fresh"]):
        state = None
    scores, after, dropped, plain = network(batch["input"], state, batch.get("reset"))
    each = _costs(scores, batch["target"])
    asked = batch.get("asked")
    if asked is None:
        counts = torch.full_like(batch["target"][0], len(each))
    else:
        each, counts = each * asked, asked.sum(0)
    penalty = network.penalty(dropped, plain) if network.training else None
    return RowLosses(each.sum(0), counts, penalty, detached(after))


def detached(state: Any) -> Any:
    """A state through which no gradient goes back."""
    return state.detach() if isinstance(state, Tensor) else tuple(detached(part) for part in state)


class Judgement:
    """Sums over what was asked."""

    def __init__(self, unknown: int | None) -> None:
        self._unknown = unknown
        self.nats = self.units = self.right = self.strange = self.characters = 0.0

    def add(self, batch: Batch, costs: Tensor, likeliest: Tensor) -> None:
        """Of a batch: what each target cost, [T, B], and what was thought the likeliest."""
        asked = batch.get("asked", torch.ones_like(batch["target"], dtype=torch.bool))
        self.nats += float((costs.double() * asked).sum())
        self.right += int(((likeliest == batch["target"]) & asked).sum())
        self.units += (units := int(asked.sum()))
        self.characters += int(batch["characters"].sum()) if "characters" in batch else units
        if self._unknown is not None:
            self.strange += int(((batch["target"] == self._unknown) & asked).sum())

    def metrics(self) -> dict[str, float]:
        """All of METRICS, and "loss".

        Raises:
            DataError: nothing was asked.
        """
        if not self.units:
            raise DataError("There is no unit to foresee; give a text of at least two units.")
        nats = self.nats / self.units
        return {
            "bits_per_character": self.nats / math.log(2) / max(self.characters, 1),
            "nats": nats,
            "perplexity": math.exp(min(nats, LARGEST_EXPONENT)),
            "accuracy": self.right / self.units,
            "unknown": self.strange / self.units,
            "loss": nats,
        }


def evaluate(
    network: LanguageModel, batches: Iterable[Batch], unknown: int | None, options: Options
) -> dict[str, float]:
    """The metrics over all batches, the state carried from each to the next."""
    judged = Judgement(unknown)
    scored = _learning(network, batches, options) if options.dynamic_rate else _plain(network, batches)
    for batch, scores in scored:
        judged.add(batch, _costs(scores, batch["target"]), scores.argmax(-1))
    return judged.metrics()


def baseline(batches: Iterable[Batch], bigrams: Bigrams, unknown: int | None) -> dict[str, float]:
    """The metrics of someone who looks at the unit before alone."""
    judged, likeliest = Judgement(unknown), torch.from_numpy(bigrams.likeliest())
    for batch in batches:
        batch = {name: value.cpu() for name, value in batch.items()}
        found = bigrams.probabilities(batch["input"].numpy(), batch["target"].numpy())
        judged.add(batch, -torch.from_numpy(found).log(), likeliest[batch["input"]])
    return judged.metrics()


def _costs(scores: Tensor, target: Tensor) -> Tensor:
    each = functional.cross_entropy(scores.flatten(0, 1), target.flatten(), reduction="none")
    return each.view(target.shape)


def _plain(network: LanguageModel, batches: Iterable[Batch]) -> Iterator[tuple[Batch, Tensor]]:
    state = None
    for batch in batches:
        if bool(batch["fresh"]):
            state = None
        with torch.no_grad():
            scores, state, _, _ = network(batch["input"], state, batch.get("reset"))
        yield batch, scores


def _learning(network: LanguageModel, batches: Iterable[Batch], options: Options) -> Iterator[tuple[Batch, Tensor]]:
    """Dynamic evaluation (Krause, Kahembwe, Murray & Renals 2018, section 3), in its plain form.

    After some steps are scored, a copy of the weights w goes down their gradient and a little back to the trained w0:
    w <- w - rate * gradient + decay * (w0 - w). Nothing is learned from before it is scored.
    """
    network = copy.deepcopy(network)
    weights = list(network.parameters())
    trained, state = [weight.detach().clone() for weight in weights], None
    for batch in batches:
        if bool(batch["fresh"]):
            state = None
        parts = []
        for at in range(0, len(batch["input"]), options.dynamic_steps):
            part = {name: value[at : at + options.dynamic_steps] for name, value in batch.items() if value.dim() == 2}
            with torch.enable_grad():
                scores, state, _, _ = network(part["input"], state, part.get("reset"))
                costs = _costs(scores, part["target"])
                asked = part.get("asked")
                found = torch.autograd.grad((costs if asked is None else costs[asked]).sum() / costs.numel(), weights)
            with torch.no_grad():
                for weight, first, gradient in zip(weights, trained, found, strict=True):
                    weight.sub_(options.dynamic_rate * gradient).add_(first - weight, alpha=options.dynamic_decay)
            state = detached(state)
            parts.append(scores.detach())
        yield batch, torch.cat(parts)
