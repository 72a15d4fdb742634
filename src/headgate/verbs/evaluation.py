"""headgate.evaluate: every metric of a run on its held-out rows, or on other files, with the baseline beside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from headgate.data import DataError, Store, find_splits
from headgate.tasks.bench_task import BenchTask
from headgate.training.bench_run import Run
from headgate.training.fields import changed
from headgate.training.preparing import encode_more, prepare


def evaluate(
    run: str | Path | Run, data: str | Path | None = None, split: str = "test", **settings: Any
) -> dict[str, Any]:
    """Judge a run's best weights.

    Args:
        run: its folder.
        data: a file, all of which is judged, or a folder, of which the split is; None: the run's own rows.
        split: "test", "validation" or "train".
        settings: of the task, to judge with others than training had: `dynamic_rate`, `beam`; see the command's help.

    Returns:
        "metrics" and, of those it has, "baseline", each by name; "score", the name of the metric that chose the model;
        "split", "rows", "task"; "words", which say what each metric is; "details", what a task tells beside numbers.
        JSON types.

    Raises:
        DataError: the data cannot be used.
        ValueError: no run, no such split, a setting that cannot be changed any more, or the run's own files are no
            longer what they were.
    """
    run = run if isinstance(run, Run) else Run.load(run)
    options = changed(run.options, settings, "evaluate")
    if split not in ("train", "validation", "test"):
        raise ValueError(f"split={split!r}, but one of 'train', 'validation', 'test' is needed.")
    if data is None:
        stores = prepare(run.task, run.config.splits(), run.config.chosen).stores
        if split not in stores:
            raise DataError(f"{run.folder} has no rows for {split}; give a file, or another split.")
        store = stores[split]
    else:
        splits = find_splits(data)
        paths = getattr(splits, split) or splits.train
        store, split = encode_more(run.task, paths, run.encoding, run.options), Path(data).name
    return judged(run, run.network(), store, options) | {"split": split, "task": run.task.name}


def judged(run: Run, network: nn.Module, store: Store, options: Any) -> dict[str, Any]:
    """Metrics of a network in evaluation mode on rows, and the baseline's."""
    task, learning = run.task, run.config.chosen.learning
    loader = task.loader(store, run.encoding, learning, training=False)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(learning.seed)
        metrics = task.evaluate(network, loader.epoch(0), run.encoding, options)
        baseline = task.baseline(loader.epoch(0), run.encoding, options)
        details = task.details(network, loader.epoch(0), run.encoding, options)
    words = {name: metric.words for name, metric in task.metrics.items()}
    return {
        "metrics": finite(metrics),
        "baseline": finite(baseline),
        "baseline_words": task.baseline_words,
        "score": task.score,
        "rows": len(store),
        "words": words,
        "details": details,
    }


def in_short(task: BenchTask, metrics: Mapping[str, float | None]) -> str:
    """What people ask for first, those that are there."""
    values = {name: metrics[name] for name in task.shown if name in metrics}
    return ", ".join(f"{name} {'no finite number' if v is None else f'{v:.4g}'}" for name, v in values.items())


def finite(metrics: dict[str, float]) -> dict[str, float | None]:
    """Metrics as JSON can say them: what is no finite number is None."""
    return {name: value if abs(value) < float("inf") else None for name, value in metrics.items()}
