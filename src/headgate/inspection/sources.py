"""Which steps' losses are followed back apart from the others.

With a loss at every step, the gradient of the whole is much the same at all steps and hides how that of one of them
fades; so single ones are followed. Which, is decided in each row for itself, since rows have their own ends.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Sources lie in the last three quarters of a row's losses: an early one has no long way back.
REACH = 0.75
# So many rows, of all sources together, go through the recurrent matrices about as fast as a training step's do.
ROWS_AT_ONCE = 128


def choose_sources(read: Tensor, most: int) -> Tensor:
    """The last step of each row that the loss reads, and others before it, evenly over the row.

    Args:
        read: whether the loss reads a row at a step, [T, B] bool, in the order of the run.
        most: how many at most.

    Returns:
        [S, B], steps; T (a step that is never taken) where a row has no such source.
    """
    T = len(read)
    count = read.sum(0)
    S = max(1, min(most, int(count.max()) if count.numel() else 1))
    rank = torch.cumsum(read, 0) * read  # 1 for the first that is read
    chosen, before = [], None
    for j in range(S):
        back = REACH * j / max(S - 1, 1)
        wanted = count - torch.floor((count - 1).clamp_min(0) * back).long()
        step = torch.where(read & (rank == wanted), torch.arange(T, device=read.device)[:, None], T).amin(0)
        # A row with few losses does not have the same one twice.
        chosen.append(step if before is None else torch.where(step == before, T, step))
        before = step
    return torch.stack(chosen)


def how_many(most: int, rows: int) -> int:
    """How many sources can be followed at once over so many rows: at least one."""
    return max(1, min(most, ROWS_AT_ONCE // max(rows, 1)))
