"""Beam search with length normalisation (Graves 2012; Wu et al. 2016 for the normalisation's form)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from headgate.tasks.bench.translate.network import Memory, Translator


@dataclass(frozen=True)
class Found:
    """One translation.

    Attributes:
        pieces: without marks.
        score: its log-probability, its end among it, divided by its length to the penalty's power.
        ended: whether it came to its end, and was not cut at the greatest length.
    """

    pieces: list[int]
    score: float
    ended: bool


@torch.no_grad()
def search(
    network: Translator, memory: Memory, start: int, end: int, beam: int, penalty: float, longest: int
) -> list[Found]:
    """The best translation of each source.

    A source is done when it has `beam` translations that ended and none that goes on is now better than the best of
    them, or after `longest` pieces; a translation without end is taken only where none ended. What is done is left
    aside, so a translation does not depend on what it is translated beside.

    Args:
        network: in evaluation mode.
        memory: of B sources.
        start, end: the marks.
        beam: how many are kept in mind.
        penalty: power of the length that scores are divided by; 0 for none.
        longest: pieces of a translation, at most.
    """
    B, device = len(memory.values), memory.values.device
    progress = network.begin(memory, beam)
    last = torch.full((B * beam,), start, device=device)
    # Only the first of equal rows counts at the start.
    scores = torch.full((B, beam), -torch.inf, device=device)
    scores[:, 0] = 0
    written = torch.zeros(B * beam, 0, dtype=torch.long, device=device)
    found: list[list[Found]] = [[] for _ in range(B)]
    going = found
    for length in range(1, longest + 1):
        first = torch.arange(len(going), device=device)[:, None] * beam
        logits, progress = network.step(last, progress, memory)
        totals = scores[..., None] + logits.float().log_softmax(-1).unflatten(0, (-1, beam))
        # Twice as many as go on, since each of them may end in one way.
        best, place = totals.flatten(1).topk(min(2 * beam, totals[0].numel()), -1)
        row, piece = first + place // totals.shape[-1], place % totals.shape[-1]
        ends = piece == end
        _collect(going, ends[:, :beam], best, row, written, length**penalty)
        best = best.masked_fill(ends, -torch.inf)
        scores, chosen = best.topk(beam, -1)
        going_on = (scores[:, 0] / length**penalty).tolist()
        left = [k for k, score in enumerate(going_on) if not _done(going[k], beam, score)]
        if not left:
            break
        if len(left) < len(going):
            going, rest = [going[k] for k in left], torch.tensor(left, device=device)
            memory, scores, row, piece, chosen = memory.rows(rest), *(v[rest] for v in (scores, row, piece, chosen))
        order, last = row.gather(1, chosen).flatten(), piece.gather(1, chosen).flatten()
        progress, written = progress.rows(order), torch.cat([written[order], last[:, None]], 1)
    for k, own in enumerate(going):
        if not own:
            cut = written[k * beam + int(scores[k].argmax())].tolist()
            own.append(Found(cut, float(scores[k].max()) / max(1, len(cut)) ** penalty, False))
    return [max(own, key=lambda one: one.score) for own in found]


def _collect(
    found: list[list[Found]], ends: Tensor, best: Tensor, row: Tensor, written: Tensor, divisor: float
) -> None:
    """Keep those that end now."""
    for k, place in ends.nonzero().tolist():
        score = float(best[k, place])
        if score > -torch.inf:
            found[k].append(Found(written[int(row[k, place])].tolist(), score / divisor, True))


def _done(own: list[Found], beam: int, going_on: float) -> bool:
    # Enough alone would not do: beside a sure translation, those that are far less likely end early.
    return len(own) >= beam and max(one.score for one in own) >= going_on
