"""Batches of a store: rows of like length together, in an order that seed and epoch decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from headgate.data import Store
from headgate.tasks.bench_task import Batch, Row, padded

# Rows are sorted by length among so many batches at a time: little padding, and yet another order every epoch.
SORTED_BATCHES = 50
# Marks a batch whose rows stand in for none: a device that has no row of a small batch still has to take part in it.
ABSENT = "absent"


class Buckets:
    """Batches of rows of like length; a `Loader`.

    Args:
        store: the rows.
        field: whose length counts.
        batch_size: rows of a batch.
        seed: of the order.
        training: shuffled; otherwise sorted by length, the same in every epoch.
        collate: rows to a batch.
    """

    def __init__(
        self,
        store: Store,
        field: str,
        batch_size: int,
        seed: int,
        training: bool,
        collate: Callable[[Sequence[Row]], Batch] = padded,
    ) -> None:
        self._store, self._size, self._seed, self._training, self._collate = store, batch_size, seed, training, collate
        self._lengths = store.lengths(field)

    def __len__(self) -> int:
        return -(-len(self._store) // self._size)

    def epoch(self, number: int, start: int = 0, share: tuple[int, int] = (0, 1)) -> Iterator[Batch]:
        """See `Loader`."""
        for rows in self._order(number)[start:]:
            own = rows[share[0] :: share[1]]
            batch = self._collate([self._store[int(k)] for k in (own if len(own) else rows[:1])])
            yield batch if len(own) else batch | {ABSENT: torch.tensor(True)}

    def _order(self, number: int) -> list[np.ndarray]:
        count = len(self._store)
        if not self._training:
            order = np.argsort(self._lengths, kind="stable")
            return [order[at : at + self._size] for at in range(0, count, self._size)]
        random = np.random.default_rng([self._seed, number])
        order, reach = random.permutation(count), self._size * SORTED_BATCHES
        parts = [order[at : at + reach] for at in range(0, count, reach)]
        order = np.concatenate([part[np.argsort(self._lengths[part], kind="stable")] for part in parts])
        batches = [order[at : at + self._size] for at in range(0, count, self._size)]
        return [batches[k] for k in random.permutation(len(batches))]
