"""Some held-out rows of a run, few enough that all the watch asks of them takes a minute at most."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from headgate.data import Store, find_splits
from headgate.tasks.bench_task import Batch
from headgate.training.bench_run import Run
from headgate.training.preparing import encode_more, prepare

# Rows of each batch that is looked at, and steps of all its rows together.
ROWS, STEPS = 16, 2_048
# Where in the order of the rows, which are sorted by length: short ones tell little.
PLACES = (0.75, 0.5)


def probe(run: Run, store: Store) -> list[Batch]:
    """A few batches of a store, as a run's task makes them; fewer rows where they are long."""
    for rows in (ROWS, ROWS // 4, 1):
        learning = dataclasses.replace(run.config.chosen.learning, batch_size=rows)
        loader = run.task.loader(store, run.encoding, learning, training=False)
        starts = dict.fromkeys(min(len(loader) - 1, int(len(loader) * place)) for place in PLACES)
        found = [next(iter(loader.epoch(0, start))) for start in starts]
        if max(value.shape[:2].numel() for batch in found for value in batch.values()) <= STEPS:
            break
    return found


def rows_of(run: Run, data: str | Path | None) -> Store:
    """A run's validation rows, or those of a file.

    Raises:
        ValueError: the run's data are gone, or the file does not fit.
    """
    if data is None:
        return prepare(run.task, run.config.splits(), run.config.chosen).stores["validation"]
    return encode_more(run.task, find_splits(data).train, run.encoding, run.options)
