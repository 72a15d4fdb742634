"""Which rows take which step, and how all valid steps lie one after the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from headgate.engines.contract import Call


@dataclass(frozen=True)
class Rows:
    """The valid steps of a batch as a packed sequence holds them: by time, rows from the longest to the shortest.

    Attributes:
        T, B: steps that any row takes, and rows.
        padded: steps of the padded batch.
        counts: rows that take each step, [T].
        offset: where each step's rows begin, [T].
        order: the batch's row at each place, [B], or None if they are as they came.
        index: where each valid step stands in the padded batch, flattened, [N]; None if it is all of it.
        fresh: whether a row starts afresh before that step, [N] bool, or None.
        reverse: steps are run from the last to the first.
    """

    T: int
    B: int
    padded: int
    counts: np.ndarray
    offset: np.ndarray
    order: Tensor | None
    index: Tensor | None
    fresh: Tensor | None
    reverse: bool

    @cached_property
    def N(self) -> int:
        return int(self.counts.sum())

    @cached_property
    def began(self) -> int:
        """Rows that take any step; they stand first."""
        return int(self.counts[0]) if self.T else 0

    @cached_property
    def addresses(self) -> tuple[int, int]:
        """Of `offset` and `counts`; NumPy takes its time to tell them."""
        return self.offset.ctypes.data, self.counts.ctypes.data

    @property
    def compose(self) -> bool:
        """Whether old states have to be put together row by row: some start at a step that is not the first."""
        return self.fresh is not None or (self.reverse and self.index is not None)

    @cached_property
    def inverse(self) -> Tensor | None:
        """Where each of the batch's rows stands."""
        return None if self.order is None else torch.argsort(self.order)

    @cached_property
    def before(self) -> Tensor:
        """For every valid step but those of the step run first: where the state before it stands among all."""
        steps = range(1, self.T) if not self.reverse else range(self.T - 1)
        shift = 1 if self.reverse else -1
        places = [self.offset[t + shift] + np.arange(self.counts[t]) for t in steps]
        return torch.from_numpy(np.concatenate(places)) if places else torch.empty(0, dtype=torch.int64)


@lru_cache(maxsize=256)
def full_rows(T: int, B: int, reverse: bool) -> Rows:
    """Every row takes every step."""
    counts, offset = np.full(T, B, np.int64), np.arange(T, dtype=np.int64) * B
    return Rows(T, B, T, counts, offset, None, None, None, reverse)


def rows_of(call: Call) -> Rows:
    """The rows of a call."""
    padded, B = call.input.shape[:2]
    if call.lengths is None and call.reset is None:
        return full_rows(padded, B, call.reverse)
    fresh = call.reset
    if fresh is not None and call.reverse:
        fresh = torch.cat([fresh[1:], torch.zeros_like(fresh[:1])])
    if call.lengths is None:
        return replace(full_rows(padded, B, call.reverse), fresh=fresh.reshape(-1).contiguous())
    lengths = call.lengths.to(torch.int64).numpy()
    order = np.argsort(-lengths, kind="stable")
    T = int(lengths.max(initial=0))
    valid = np.arange(T)[:, None] < lengths[order]
    counts = valid.sum(1)
    index = torch.from_numpy((np.arange(T)[:, None] * B + order)[valid])
    offset = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64) if T else np.zeros(0, np.int64)
    flat = None if fresh is None else fresh.reshape(-1)[index]
    in_order = bool((order == np.arange(B)).all())
    return Rows(
        T,
        B,
        padded,
        counts.astype(np.int64),
        offset,
        None if in_order else torch.from_numpy(order),
        index,
        flat,
        call.reverse,
    )
