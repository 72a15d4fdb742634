"""headgate.train: from files to a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from headgate.data import Splits, Store, find_splits
from headgate.tasks.bench_task import BenchTask
from headgate.training import atomic, bench_run, run_config
from headgate.training.bench_run import ENCODING, REPORT, RESULTS, WEIGHTS, Run
from headgate.training.fields import Chosen, sort_out
from headgate.training.fit import Sitting, fit, start
from headgate.training.keeper import write_weights
from headgate.training.preparing import Prepared, guess, prepare
from headgate.training.processes import first_does, fit_together, outside
from headgate.training.rate import find
from headgate.training.run_config import RunConfig
from headgate.verbs.evaluation import in_short, judged
from headgate.verbs.looking import look

RUNS = Path("runs")
Say = Callable[[str], None]


def train(
    data: str | Path,
    task: str | None = None,
    *,
    out: str | Path | None = None,
    validation: str | Path | None = None,
    test: str | Path | None = None,
    devices: int = 1,
    resume: bool = False,
    watch: bool = True,
    minutes: float | None = None,
    progress: bool = True,
    say: Say = lambda sentence: None,
    **settings: Any,
) -> Run:
    """Train a model on your own sequences.

    Args:
        data: a file, or a folder whose files say in their names what they are for; with `resume`, a run's folder.
        task: a name of `headgate.tasks.bench.names()`; None: guessed from the file, and said.
        out: the run's folder; None for a new one in `runs`.
        validation, test: files of their own, else rows of the training files are held out.
        devices: processes that learn together, each with its share of every batch.
        resume: go on with the run in `out`, or in `data`, to the numbers that an unbroken run would have come to.
        watch: look at the recurrent layers while they learn and at the end, and write report.html.
        minutes: of training that are enough.
        progress: show a bar if standard error is a terminal.
        say: told what was guessed and found, a sentence at a time.
        settings: fields of `Learning` (epochs, rate, ...), of `Layers` (cell, hidden_size, ...), of the task's
            `Options`, and switches of the cell (peephole=True, zoneout=0.1).

    Returns:
        The run: its folder, results and history.

    Raises:
        DataError: the data cannot be used; file, line and column are named.
        ValueError: no such task or setting, a folder that holds something else, or a run that cannot be gone on with.
        Stopped: Ctrl-C or SIGTERM; `resume` goes on. It is a KeyboardInterrupt.
        FloatingPointError: the loss is no longer a finite number; the best model so far is kept.
        OSError: the disk is full.
    """
    asked = _Asked(data, task, out, validation, test, devices, resume, watch, minutes, settings, say)
    ranks = outside()
    if ranks is None:
        sitting = dataclasses.replace(_begin(asked), progress=progress)
        if sitting.devices > 1:
            fit_together(sitting)
        else:
            fit(sitting)
        return _finish(sitting, say)
    asked = dataclasses.replace(asked, devices=ranks[1])
    sitting = dataclasses.replace(first_does(lambda: _begin(asked)), progress=progress)
    fit(sitting, *ranks)
    first_does(lambda: _finish(sitting, say) and None)
    return Run.load(sitting.folder)


@dataclasses.dataclass(frozen=True)
class _Asked:
    data: str | Path
    task: str | None
    out: str | Path | None
    validation: str | Path | None
    test: str | Path | None
    devices: int
    resume: bool
    watch: bool
    minutes: float | None
    settings: dict[str, Any]
    say: Say


def _begin(asked: _Asked) -> Sitting:
    """Everything up to the first step: a folder that a sitting can begin in, or go on in."""
    if type(asked.devices) is not int or asked.devices < 1:
        raise ValueError(f"devices={asked.devices!r}, but a whole number of at least 1 is needed.")
    if asked.minutes is not None and not asked.minutes > 0:
        raise ValueError(f"minutes={asked.minutes!r}, but a number above 0 is needed.")
    if asked.resume:
        return _go_on(asked)
    splits = find_splits(asked.data, asked.validation, asked.test)
    if asked.task is None:
        task, fit = guess(splits.train[0])
        asked.say(f"The task: {task.name}, since {fit.why}.")
    else:
        task = run_config.find_task(asked.task)
    chosen = sort_out(task, asked.settings)
    folder = Path(asked.out) if asked.out is not None else _free(Path(asked.data), task.name)
    _check_new(folder)
    prepared = prepare(task, splits, chosen)
    _say_rows(asked.say, splits, prepared)
    chosen = _suited(task, chosen, asked.settings, prepared)
    network = start(task, prepared.encoding, chosen.options, chosen.layers, chosen.learning.seed)
    found_rate = chosen.learning.rate is None
    if found_rate:
        loader = task.loader(prepared.stores["train"], prepared.encoding, chosen.learning, training=True)
        learning = dataclasses.replace(chosen.learning, rate=find(task, network, loader, chosen.learning))
        chosen = dataclasses.replace(chosen, learning=learning)
        asked.say(f"The learning rate, found: {learning.rate:g}.")
    config = RunConfig(task.name, chosen, run_config.described(splits), asked.devices, asked.watch, asked.minutes)
    config = dataclasses.replace(config, found_rate=found_rate, versions=run_config.versions())
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write(folder / ENCODING, bench_run.as_json(prepared.encoding))
    write_weights(folder, network)
    # Last, since a folder with it is a run.
    config.save(folder)
    asked.say(f"The run: {folder}.")
    return _sitting(folder, prepared, config)


def _suited(task: BenchTask, chosen: Chosen, settings: dict[str, Any], prepared: Prepared) -> Chosen:
    """The settings once the data are known; what rows were held out by stays."""
    layers, learning = task.defaults(prepared.encoding)
    held = {"seed": chosen.learning.seed, "holdout": chosen.learning.holdout}
    return sort_out(task, settings, (layers, dataclasses.replace(learning, **held)))


def _go_on(asked: _Asked) -> Sitting:
    """A sitting that goes on in a folder."""
    folder = Path(asked.data if asked.out is None else asked.out)
    run = Run.load(folder)
    config = run.config
    if asked.task not in (None, config.task):
        raise ValueError(f"{folder} is a run of task {config.task}, so it cannot go on as {asked.task}.")
    if asked.devices not in (1, config.devices):
        raise ValueError(f"{folder} was begun with devices={config.devices}; it cannot go on with {asked.devices}.")
    _refuse_change(folder, config, asked)
    if asked.out is not None:
        splits = find_splits(asked.data, asked.validation, asked.test)
        if run_config.described(splits) != dict(config.data):
            raise ValueError(f"{asked.data} is not what {folder} was trained with; leave the data out, or train anew.")
    prepared = prepare(run.task, config.splits(), config.chosen)
    if prepared.encoding != run.encoding:
        raise ValueError(
            f"{folder / ENCODING} is not what the run's data give: it is another run's, or of another version; train "
            "anew in another folder."
        )
    return _sitting(folder, prepared, config)


def _refuse_change(folder: Path, config: RunConfig, asked: _Asked) -> None:
    """A run goes on as it began; settings may be repeated, but not changed."""
    known = config.chosen
    wanted = sort_out(run_config.find_task(config.task), asked.settings, (known.layers, known.learning))
    given = asked.settings.keys()
    for part in ("options", "layers", "learning"):
        old, new = getattr(known, part), getattr(wanted, part)
        for name in (one.name for one in dataclasses.fields(new)):
            was, now = getattr(old, name), getattr(new, name)
            found = name == "rate" and config.found_rate and now is None
            if (name in given or name == "switches") and was != now and not found:
                raise ValueError(f"{folder} was begun with {name}={was!r}; it cannot go on with {now!r}.")


def _finish(sitting: Sitting, say: Say) -> Run:
    """What comes after the last step: results of the best weights, and the watch's page."""
    run = Run.load(sitting.folder)
    network = run.network()
    if not (run.folder / RESULTS).is_file():
        stores = {part: Store(place) for part, place in sitting.stores.items()}
        judging = [part for part in ("validation", "test") if part in stores]
        results = {part: judged(run, network, stores[part], run.options) for part in judging}
        best = min(run.history, key=lambda line: _rank(run, line), default={})
        atomic.write(run.folder / RESULTS, bench_run.as_json({"best_epoch": best.get("epoch"), **results}))
    for part in ("test", "validation"):
        if part in run.results:
            _say_score(run, part, say)
            break
    if run.config.watch and not (run.folder / REPORT).is_file():
        missing = look(run, network, sitting.stores["validation"])
        say(f"The page: {run.folder / REPORT}." if missing is None else f"No page was written: {missing}")
    return run


def _rank(run: Run, line: dict[str, Any]) -> tuple[bool, float]:
    score = line[run.task.score]
    sign = -1.0 if run.task.metrics[run.task.score].higher_is_better else 1.0
    return score is None, 0.0 if score is None else sign * score


def _say_score(run: Run, part: str, say: Say) -> None:
    found = run.results[part]
    reached, trivial = (in_short(run.task, found[of]) for of in ("metrics", "baseline"))
    beside = f"; the baseline ({run.task.baseline_words}): {trivial}" if trivial else ""
    say(f"On {found['rows']:,} {part} rows: {reached}{beside}.")


def _say_rows(say: Say, splits: Splits, prepared: Prepared) -> None:
    rows = ", ".join(f"{len(store):,} for {part}" for part, store in prepared.stores.items())
    held = [part for part in ("validation", "test") if not getattr(splits, part) and part in prepared.stores]
    say(f"Rows: {rows}" + (f" (held out: {', '.join(held)})." if held else "."))


def _sitting(folder: Path, prepared: Prepared, config: RunConfig) -> Sitting:
    return Sitting(folder, {part: store.folder for part, store in prepared.stores.items()}, config.devices)


def _free(data: Path, task: str) -> Path:
    """The first folder of its name that is not there."""
    stem = data.absolute().name.partition(".")[0] or "data"
    names = (RUNS / f"{stem}-{task}-{number}" for number in range(1, 10**6))
    return next(iter(islice((name for name in names if not name.exists()), 1)))


def _check_new(folder: Path) -> None:
    """Refuse a place that cannot take a run.

    Raises:
        ValueError: a file, or a folder with something in it.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; give a folder, which need not exist yet.")
    if (folder / run_config.CONFIG).is_file():
        raise ValueError(f"{folder} holds a run already; go on with it by --resume, or give a new folder.")
    # What an earlier beginning left that did not come to a config is no run, and is written anew.
    kept = {ENCODING, WEIGHTS}
    found = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    if any(name not in kept and not name.startswith(".") for name in found):
        raise ValueError(f"{folder} holds other files; give a new folder, or an empty one.")

