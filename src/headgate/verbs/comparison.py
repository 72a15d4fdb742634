"""headgate.compare: the same task by several cells, several seeds each, alike in parameters, steps or time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t as student

from headgate.data import find_splits
from headgate.inspection import Record
from headgate.tasks.bench_task import BenchTask
from headgate.training import atomic
from headgate.training.bench_run import RECORDS, Run, as_json
from headgate.training.children import alone
from headgate.training.fields import Chosen, sort_out
from headgate.training.fit import start
from headgate.training.matching import nearest_size
from headgate.training.preparing import guess, prepare
from headgate.training.run_config import find_task
from headgate.verbs.evaluation import in_short
from headgate.verbs.training import train

MATCHED = ("parameters", "steps", "time")
RESULTS, TABLE = "results.json", "table.md"
# Of the mean, from Student's t over the seeds.
CONFIDENCE = 0.95


def compare(
    data: str | Path,
    task: str | None = None,
    *,
    cells: Sequence[str] = ("lstm", "gru", "rnn"),
    seeds: Sequence[int] = (0, 1, 2),
    matched: str = "parameters",
    out: str | Path,
    validation: str | Path | None = None,
    test: str | Path | None = None,
    minutes: float | None = None,
    watch: bool = True,
    say: Callable[[str], None] = lambda sentence: None,
    **settings: Any,
) -> dict[str, Any]:
    """Train every cell with every seed, each in a process of its own, and set them side by side.

    Args:
        data, task, validation, test, settings: as for `train`; `hidden_size` is the first cell's.
        cells: names of the catalogue, or FILE.py:Class.
        seeds: of weights, order, masks, and of held-out rows where there are no files for them.
        matched: "parameters": every network has about as many as the first cell's; "steps": the same units for all, and
            nobody stops early; "time": the same units, and nobody trains longer than the first cell did on average.
        out: a new folder: a run for every cell and seed, results.json, table.md.
        minutes: of training that are enough for any run.
        watch: look at the layers of every run; without, there is no horizon.
        say: told what is done, a sentence at a time.

    Returns:
        What results.json holds: "matched", in words; "score", and "shown", the metrics of the table; "cells", each with
        "hidden_size", "parameters", and for each of "metrics", for "score", "seconds", "memory_bytes" and "horizon"
        (steps; the furthest of its layers at which a gradient keeps a thousandth, after training) the "mean", the
        half-width of a 95 % "interval", and the "values" by seed.

    Raises:
        DataError, ValueError: as `train`; or no cells, no seeds, or one twice.
    """
    _check(cells, seeds, matched)
    splits = find_splits(data, validation, test)
    asked = guess(splits.train[0])[0] if task is None else find_task(task)
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is there already; give a new folder.")
    sizes = _sizes(asked, splits, cells, matched, {**settings, "seed": seeds[0]})
    say(f"Task {asked.name}; {_words(matched, cells[0])}.")
    found, limit = {}, minutes
    for cell in cells:
        own = {**settings, "cell": cell, **sizes[cell]}
        places = {seed: out / f"{_stem(cell)}-{seed}" for seed in seeds}
        results = []
        for seed, place in places.items():
            given = own | {"seed": seed, "minutes": limit, "out": place, "watch": watch}
            given |= {"validation": validation, "test": test}
            results.append(_facts(*alone(_train, data, asked.name, given | {"progress": False})))
            say(f"{cell}, seed {seed}: {in_short(asked, results[-1]['metrics'])}, {results[-1]['seconds']:.1f} s.")
        found[cell] = _summed(results, asked)
        if matched == "time" and cell == cells[0]:
            limit = found[cell]["seconds"]["mean"] / 60.0
    facts = {"matched": _words(matched, cells[0]), "task": asked.name, "score": asked.score, "seeds": list(seeds)}
    return _written(out, facts | {"shown": list(asked.shown), "split": results[0]["split"], "cells": found})


NAMES = ("score", "seconds", "memory_bytes", "horizon")


def _summed(results: Sequence[dict[str, Any]], task: BenchTask) -> dict[str, Any]:
    """What the runs of one cell came to."""
    found = {name: results[0][name] for name in ("hidden_size", "parameters")}
    found |= {name: summary([one[name] for one in results]) for name in NAMES}
    metrics = {name: summary([one["metrics"].get(name) for one in results]) for name in task.metrics}
    return found | {"metrics": metrics}


def _written(out: Path, facts: dict[str, Any]) -> dict[str, Any]:
    atomic.write(out / RESULTS, as_json(facts))
    atomic.write(out / TABLE, table(facts))
    return facts


def summary(values: Sequence[float | None]) -> dict[str, Any]:
    """Mean, and the half-width of an interval for it; of one value there is none."""
    known = [value for value in values if value is not None]
    mean = fmean(known) if known else None
    interval = None
    if len(known) > 1:
        interval = float(student.ppf(0.5 + CONFIDENCE / 2, len(known) - 1)) * stdev(known) / sqrt(len(known))
    return {"mean": mean, "interval": interval, "values": list(values)}


def table(facts: dict[str, Any]) -> str:
    """The comparison in Markdown."""
    shown = [f"{name} ({facts['split']})" for name in facts["shown"]]
    heading = ["cell", "H", "parameters", *shown, "time, s", "memory, MB", "horizon, steps"]
    rows = [f"| {' | '.join(heading)} |", "|---|" + "---:|" * (len(heading) - 1)]
    for cell, one in facts["cells"].items():
        memory = {**one["memory_bytes"], "mean": one["memory_bytes"]["mean"] / 1e6, "interval": None}
        scores = [_said(one["metrics"][name]) for name in facts["shown"]]
        columns = [cell, str(one["hidden_size"]), f"{one['parameters']:,}", *scores]
        rows.append("| " + " | ".join([*columns, _said(one["seconds"]), _said(memory), _said(one["horizon"])]) + " |")
    about = f"Task {facts['task']}; {facts['matched']}; seeds {', '.join(map(str, facts['seeds']))}."
    return "\n".join([*rows, "", f"{about} Means with the half-width of a 95 % interval (Student's t).", ""])


def _said(value: dict[str, Any]) -> str:
    if value["mean"] is None:
        return "-"
    return f"{value['mean']:.4g}" + ("" if value["interval"] is None else f" ± {value['interval']:.2g}")


def _train(data: str | Path, task: str, given: dict[str, Any]) -> Path:
    return train(data, task, **given).folder


def _facts(folder: Path, memory: int) -> dict[str, Any]:
    """What a run came to."""
    run = Run.load(folder)
    split = "test" if "test" in run.results else "validation"
    records = [Record.load(path.parent) for path in (folder / RECORDS).glob("*/record.json")]
    reached = [record.facts["horizons"]["trainable"].get("1e-3") for record in records]
    return {
        "split": split,
        "score": run.results[split]["metrics"][run.task.score],
        "metrics": run.results[split]["metrics"],
        "seconds": run.history[-1]["seconds"],
        "memory_bytes": memory,
        "horizon": max((steps for steps in reached if steps is not None), default=None),
        "hidden_size": run.config.chosen.layers.hidden_size,
        "parameters": sum(p.numel() for p in run.network().parameters()),
    }


def _sizes(
    task: BenchTask, splits: Any, cells: Sequence[str], matched: str, settings: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """By cell, the settings that make its runs comparable."""
    first = sort_out(task, {**settings, "cell": cells[0]})
    encoding = prepare(task, splits, first).encoding

    def suited(cell: str) -> Chosen:
        return sort_out(task, {**settings, "cell": cell}, task.defaults(encoding))

    def count(cell: str, size: int) -> int:
        chosen = suited(cell)
        layers = dataclasses.replace(chosen.layers, hidden_size=size)
        return sum(p.numel() for p in start(task, encoding, chosen.options, layers, 0).parameters())

    chosen = suited(cells[0])
    size, epochs = chosen.layers.hidden_size, chosen.learning.epochs
    if matched == "steps":
        return {cell: {"hidden_size": size, "patience": epochs} for cell in cells}
    if matched == "time":
        return {cell: {"hidden_size": size} for cell in cells}
    budget = count(cells[0], size)
    own = {cells[0]: {"hidden_size": size}}
    for cell in cells[1:]:
        own[cell] = {"hidden_size": nearest_size(lambda h, cell=cell: count(cell, h), budget, cell)}
    return own


def _check(cells: Sequence[str], seeds: Sequence[int], matched: str) -> None:
    if matched not in MATCHED:
        raise ValueError(f"matched={matched!r}, but one of {', '.join(map(repr, MATCHED))} is needed.")
    for name, values in (("cells", cells), ("seeds", seeds)):
        if not values or len(set(values)) < len(values):
            raise ValueError(f"{name}={list(values)!r}: give at least one, and each once.")


def _words(matched: str, first: str) -> str:
    return {
        "parameters": f"matched by parameters: every network has about as many as the one of {first}",
        "steps": "matched by steps: the same units and the same number of steps for all, and nobody stops early",
        "time": f"matched by time: the same units for all, and nobody trains longer than {first} did on average",
    }[matched]


def _stem(cell: str) -> str:
    return cell.rpartition(":")[2] if ":" in cell else cell
