"""A text as parallel streams, cut into batches whose state goes on from one to the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from headgate.data import DataError, Store
from headgate.tasks.bench_task import Batch
from headgate.tasks.loading import ABSENT

# Units that a stream of an evaluation reads before the first that it is asked for, so that it begins with a memory.
WARM_UP = 256
# A stream is so many times as long as that, at least.
FEWEST_WARM_UPS = 8
# How AWD-LSTM varies the length (Merity, Keskar & Socher 2018, section 5): half as long in so many batches, then
# normal with this deviation, and no shorter than this.
HALF, DEVIATION, SHORTEST = 0.05, 5.0, 5


class Streams:
    """Batches of B streams, which are parts of one text; a `Loader`.

    A batch goes on where the one before it ended; its `fresh` is True where there is none before it. `input` and
    `target` [T, B] are the units and those that follow them; `reset` [T, B] is there where documents begin, True at the
    steps that do; `asked` [T, B] where some targets do not count; `characters` [B], where units are more than
    characters, is how many the targets that count stand for.

    In training, streams begin at another place of the text in every epoch, and what is left over is not read. In
    evaluation, every unit but the first is asked for exactly once; streams after the first read what stands before
    them first.

    Args:
        store: rows of `encoding.rows`.
        batch_size: streams, at most; fewer if they would be too short.
        steps: of a batch, T.
        random_steps: whether T varies in training.
        seed: of places and lengths.
        training: or evaluation.

    Raises:
        DataError: there are fewer than two units.
    """

    def __init__(
        self, store: Store, batch_size: int, steps: int, random_steps: bool, seed: int, training: bool
    ) -> None:
        self._units, self._starts = store.column("units"), store.column("starts")
        self._widths = store.column("widths") if "widths" in store.fields else None
        self._steps, self._random, self._seed, self._training = steps, random_steps and training, seed, training
        asked = len(self._units) - 1
        if asked < 1:
            raise DataError(
                f"The text for {'training' if training else 'evaluation'} has {asked + 1} units, but at least 2 are "
                "needed, one to follow the other; give more text, or hold out another share."
            )
        shortest = 2 * steps if training else WARM_UP * FEWEST_WARM_UPS
        self._streams = max(min(batch_size, asked // shortest), 1)
        self._warm = 0 if training or self._streams == 1 else WARM_UP
        # What may be left over at the beginning, so that epochs differ.
        self._slack = min(steps, asked // 2) if training and asked > steps else 0
        if training:
            self._length = (asked - self._slack) // self._streams
        else:
            self._length = -(-(asked + (self._streams - 1) * self._warm) // self._streams)
        mean = max(steps * (1 - HALF / 2), 1.0) if self._random else steps
        self._count = int(-(-self._length // mean))

    def __len__(self) -> int:
        return self._count

    def epoch(self, number: int, start: int = 0, share: tuple[int, int] = (0, 1)) -> Iterator[Batch]:
        """See `Loader`."""
        random = np.random.default_rng([self._seed, number])
        first = int(random.integers(self._slack + 1))
        cuts = self._cuts(random)
        streams = range(self._streams)[share[0] :: share[1]]
        for k in range(start, self._count):
            batch = self._batch(first, int(cuts[k]), int(cuts[k + 1]), streams or range(1))
            batch["fresh"] = torch.tensor(k == 0)
            yield batch if streams else batch | {ABSENT: torch.tensor(True)}

    def _cuts(self, random: np.random.Generator) -> np.ndarray:
        """Where each batch begins, counted from where the streams begin, [batches + 1]."""
        if not self._random:
            return np.minimum(np.arange(self._count + 1) * self._steps, self._length)
        mean = np.where(random.random(self._count) < HALF, self._steps / 2, self._steps)
        lengths = np.maximum(random.normal(mean, DEVIATION), SHORTEST)
        # As many batches in every epoch, a step long at least.
        shares = np.insert(np.cumsum(lengths), 0, 0) / lengths.sum()
        return np.arange(self._count + 1) + np.round(shares * (self._length - self._count)).astype(np.int64)

    def _batch(self, first: int, begin: int, end: int, streams: Sequence[int]) -> Batch:
        """Steps begin to end of these streams; stream b reads from unit first + b * (length - warm) on."""
        first_unit = first + np.asarray(streams) * (self._length - self._warm) + begin
        step = np.arange(end - begin + 1)[:, None]
        places, last = first_unit + step, len(self._units) - 1
        units = torch.from_numpy(self._units[np.minimum(places, last)].astype(np.int64))
        asked = (places[1:] <= last) & ((begin + step[:-1] >= self._warm) | (np.asarray(streams) == 0))
        batch: Batch = {"input": units[:-1], "target": units[1:]}
        # What says nothing is left out: it would only cost time.
        if not asked.all():
            batch["asked"] = torch.from_numpy(asked)
        if self._widths is not None:
            widths = self._widths[np.minimum(places[1:], last)]
            batch["characters"] = torch.from_numpy(np.where(asked, widths, 0).sum(0, dtype=np.int64))
        reset = self._begun(first_unit, len(asked))
        if begin == 0:
            reset[0] = False  # where nothing comes before, nothing has to be forgotten
        return batch | {"reset": torch.from_numpy(reset)} if reset.any() else batch

    def _begun(self, first_unit: np.ndarray, steps: int) -> np.ndarray:
        """Where documents begin, [T, B]."""
        found = np.zeros((steps, len(first_unit)), bool)
        bounds = np.searchsorted(self._starts, [first_unit, first_unit + steps]).T
        for column in np.flatnonzero(bounds[:, 0] < bounds[:, 1]):
            found[self._starts[slice(*bounds[column])] - first_unit[column], column] = True
        return found
