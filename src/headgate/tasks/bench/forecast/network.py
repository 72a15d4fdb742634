"""The network of a forecast: recurrent layers over the look-back, and a readout of all steps to come."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from headgate.tasks.bench.forecast.heads import Head, Units
from headgate.tasks.bench_task import Batch
from headgate.tasks.settings import Layers

# Units that carry the state to the readout of one step, and within it.
CONTEXT = 32
STEADY = 1e-5


class Readout(nn.Module):
    """From a state to the numbers of each of `horizon` steps.

    Each step has a product of its own; where something is known of the steps to come, a network of two layers that all
    steps share sees it too (as in Wen et al. 2017, "A multi-horizon quantile recurrent forecaster", arXiv 1711.11053).

    Args:
        units: of the state, O.
        known: columns known of a step to come, K.
        horizon: steps, H.
        width: numbers of a step.
    """

    def __init__(self, units: int, known: int, horizon: int, width: int) -> None:
        super().__init__()
        self.horizon, self.width = horizon, width
        self.own = nn.Linear(units, horizon * width)
        if known:
            self.context = nn.Linear(units, CONTEXT)
            self.common = nn.Sequential(nn.Linear(CONTEXT + known, CONTEXT), nn.ReLU(), nn.Linear(CONTEXT, width))

    def forward(self, state: Tensor, ahead: Tensor) -> Tensor:
        """[horizon, B, width] from a state [B, O] and what is known ahead, [horizon, B, K]."""
        out = self.own(state).unflatten(-1, (self.horizon, self.width)).movedim(1, 0)
        if ahead.shape[-1]:
            context = self.context(state).expand(self.horizon, -1, -1)
            out = out + self.common(torch.cat([context, ahead], -1))
        return out


class Line(nn.Module):
    """A linear path from the look-back straight to the forecast, the same for all targets.

    Recurrent layers follow the level of their input badly (Lai et al. 2018, "Modeling long- and short-term temporal
    patterns with deep neural networks", arXiv 1703.07015, has such a path for this reason). It starts as the seasonal
    naive forecast, or as the last value where a season is longer than the look-back, and learns from there.

    Args:
        lookback, horizon: steps, L and H.
        season: steps of one.
    """

    def __init__(self, lookback: int, horizon: int, season: int) -> None:
        super().__init__()
        season = season if season <= lookback else 1
        start = torch.zeros(horizon, lookback)
        start[torch.arange(horizon), lookback - season + torch.arange(horizon) % season] = 1
        self.weight = nn.Parameter(start)

    def forward(self, history: Tensor) -> Tensor:
        """[H, B, D] from normalised values [L, B, D] that end at the origin."""
        return torch.einsum("hl,lbd->hbd", self.weight, history)


class Forecaster(nn.Module):
    """Layers over the look-back of targets and covariates; a direct readout, or steps that read their own forecasts.

    Args:
        layers: the recurrent layers; their dropout is also on what the readout gets.
        head: what is said of each value.
        targets, past, known: columns, D, P and K.
        numbers: static columns of numbers.
        categories: for each static column of categories, how many it has.
        horizon: H.
        decoder, normalise: see `Options`.
        joint: one sequence of all targets, or one sequence for each, with shared weights and an embedding of its own.
        missing: whether the layers see which values are missing.
        line: look-back and season of a linear path beside the layers, see `Line`; None for none.
    """

    def __init__(
        self,
        layers: Layers,
        head: Head,
        targets: int,
        past: int,
        known: int,
        numbers: int,
        categories: list[int],
        horizon: int,
        decoder: str,
        normalise: str,
        joint: bool,
        missing: bool,
        line: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.head, self.horizon, self.normalise = head, horizon, normalise
        self.recursive, self.joint, self.missing = decoder == "recursive", joint, missing
        self.together = targets if joint else 1
        # No category is known by the number 0.
        self.categories = nn.ModuleList(nn.Embedding(count + 1, min(16, count // 2 + 1)) for count in categories)
        self.which = nn.Embedding(targets, min(16, targets // 2 + 1)) if not joint and targets > 1 else None
        static = numbers + sum(table.embedding_dim for table in self.categories)
        static += self.which.embedding_dim if self.which is not None else 0
        width = self.together * (2 if missing else 1) + past + known + static
        self.layers = layers.make(width)
        self.dropout = nn.Dropout(layers.dropout)
        steps = 1 if self.recursive else horizon
        self.readout = Readout(self.layers.output_size, known + static, steps, self.together * head.width)
        self.line = None if line is None else Line(line[0], steps, line[1])

    def forward(self, batch: Batch, shorter: bool | None = None) -> tuple[Tensor, Units]:
        """What the head's numbers are, [H, B, D, K], and the units they are in.

        Args:
            batch: of windows.
            shorter: whether histories may be shorter than the look-back, which takes longer; None looks, which a
                program that is traced cannot.
        """
        if shorter is None:
            shorter = bool((batch["lengths"] < len(batch["history"])).any())
        targets = batch["history"].shape[2]
        units = self._units(batch)
        history = (batch["history"] - units.shift) / units.size
        static = self._static(batch)
        # What stands beyond a row's history is padding and read by nobody, but must not overflow.
        history = history * _within(batch)
        inputs = [self._apart(history)] + ([self._apart(batch["history_seen"])] if self.missing else [])
        read = torch.cat([*inputs, *(self._shared(batch[name], targets) for name in ("past", "known"))], -1)
        read = torch.cat([read, static.expand(read.shape[0], -1, -1)], -1)
        ahead = self._shared(batch["ahead"], targets)
        ahead = torch.cat([ahead, static.expand(ahead.shape[0], -1, -1)], -1)
        lengths = batch["lengths"] if self.joint else batch["lengths"].repeat_interleave(targets)
        output, state = self.layers(read, lengths=lengths if shorter else None)
        last = _of_last(output, lengths)
        recent = _at_end(history, batch["lengths"]) if self.line is not None else history
        if self.recursive:
            return self._recursive(last, state, read, lengths, ahead, recent), units
        return self._read(last, ahead, recent), units

    def _read(self, output: Tensor, ahead: Tensor, recent: Tensor) -> Tensor:
        """[steps, B, D, K] of what the layers say, and the linear path beside them where the head looks first."""
        rows, targets = recent.shape[1:]
        raw = self.readout(self.dropout(output), ahead).reshape(-1, rows, targets, self.head.width)
        if self.line is None:
            return raw
        place = functional.one_hot(torch.tensor(self.head.centre), self.head.width).to(raw)
        return raw + self.line(recent).unsqueeze(-1) * place

    def _recursive(
        self, output: Tensor, state: object, read: Tensor, lengths: Tensor, ahead: Tensor, recent: Tensor
    ) -> Tensor:
        """Step by step: each forecast is read as if it had been seen; past covariates stay as they were last."""
        latest = _of_last(read, lengths)
        begin = self.together * (2 if self.missing else 1)
        past = latest[:, begin : latest.shape[1] - ahead.shape[-1]]
        plain = Units(*(output.new_tensor(value) for value in (0.0, 1.0, 1.0)))
        found = []
        for step in range(self.horizon):
            raw = self._read(output, ahead[step : step + 1], recent)
            found.append(raw)
            if step < self.horizon - 1:
                said = self.head.point(raw, plain)
                recent = torch.cat([recent[1:], said])
                own = self._apart(said)[0]
                seen = [torch.ones_like(own)] if self.missing else []
                output, state = self.layers(torch.cat([own, *seen, past, ahead[step]], -1)[None], state)
                output = output[0]
        return torch.cat(found)

    def _units(self, batch: Batch) -> Units:
        history, lengths = batch["history"], batch["lengths"]
        unit = batch["size"].to(history.dtype)
        zero, one = torch.zeros_like(history[0]), torch.ones_like(history[0])
        if self.normalise == "none":
            return Units(zero, one, unit)
        if self.normalise == "last":
            return Units(_of_last(history, lengths), one, unit)
        within = _within(batch)
        count = lengths[:, None]
        if self.normalise == "mean":
            return Units(zero, (history.abs() * within).sum(0) / count + 1 / unit, unit)
        mean = (history * within).sum(0) / count
        variance = ((history - mean).square() * within).sum(0) / count
        return Units(mean, (variance + STEADY).sqrt(), unit)

    def _static(self, batch: Batch) -> Tensor:
        """Static columns, [rows, S], with the embedding of the target where targets are apart."""
        parts = [batch["numbers"], *(table(batch["codes"][:, k]) for k, table in enumerate(self.categories))]
        static = torch.cat(parts, -1)
        if self.joint:
            return static
        rows, targets = batch["history"].shape[1:]
        static = static.repeat_interleave(targets, 0)
        return static if self.which is None else torch.cat([static, self.which.weight.repeat(rows, 1)], -1)

    def _apart(self, values: Tensor) -> Tensor:
        """[T, B, D] as it is, or as [T, B D, 1]."""
        return values if self.joint else values.flatten(1).unsqueeze(-1)

    def _shared(self, values: Tensor, targets: int) -> Tensor:
        return values if self.joint else values.repeat_interleave(targets, 1)


def _of_last(values: Tensor, lengths: Tensor) -> Tensor:
    """What each row of [L, B, X] has at its last step, [B, X]."""
    # The shape and not `len`, which a program that is traced would keep as a number.
    return values[lengths - 1, torch.arange(lengths.shape[0], device=lengths.device)]


def _at_end(values: Tensor, lengths: Tensor) -> Tensor:
    """Rows [L, B, D] that begin at the first step, moved to end at the last; zeros before them."""
    steps = torch.arange(len(values), device=values.device)[:, None] - (len(values) - lengths)
    moved = values.gather(0, steps.clamp_min(0).unsqueeze(-1).expand_as(values))
    return moved * (steps >= 0).unsqueeze(-1)


def _within(batch: Batch) -> Tensor:
    """1 in the steps of each row's history, else 0, [L, B, 1]."""
    steps = torch.arange(len(batch["history"]), device=batch["history"].device)
    return (steps[:, None] < batch["lengths"]).unsqueeze(-1).to(batch["history"].dtype)
