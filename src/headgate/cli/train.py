"""headgate train: from a file of your own to a model and a page about its memory."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from headgate.cli._flags import with_settings
from headgate.cli._metrics import console, names, number, say_notes, words_of
from headgate.cli._refusal import refusing
from headgate.training.bench_run import Run
from headgate.training.processes import outside
from headgate.verbs import training

INTERRUPTED = 130


def train(
    data: Annotated[
        Path, typer.Argument(help="A file, or a folder with files for train, validation and test; a run to --resume.")
    ],
    task: Annotated[
        str | None, typer.Option(help="What to learn; with --help, its flags.", show_default="guessed")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder.", show_default="a new one in runs")] = None,
    validation: Annotated[Path | None, typer.Option(help="A file to choose the best model by.")] = None,
    test: Annotated[Path | None, typer.Option(help="A file to judge it by at the end.")] = None,
    devices: Annotated[int, typer.Option(min=1, help="Processes that learn together.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    watch: Annotated[bool, typer.Option(help="Look at the layers' memory, and write report.html.")] = True,
    minutes: Annotated[float | None, typer.Option(help="Training time that is enough.")] = None,
    settings: dict[str, Any] | None = None,
) -> int:
    """Train a model on your own sequences; the task and the columns are guessed, and said.

    The run's folder holds the best weights, metrics beside a trivial baseline, and a page that says how far back the
    model remembers. Ctrl-C or a kill loses a minute at most; --resume goes on to the same numbers.
    """
    ranks = outside()
    first = ranks is None or ranks[0] == 0
    screen = console()

    def say(sentence: str) -> None:
        if first:
            screen.print(Text(sentence))

    try:
        with refusing():
            run = training.train(
                data,
                task,
                out=out,
                validation=validation,
                test=test,
                devices=devices,
                resume=resume,
                watch=watch,
                minutes=minutes,
                say=say,
                **(settings or {}),
            )
    except KeyboardInterrupt as stopped:
        print(f"headgate train: {stopped or 'stopped; nothing was written.'}", file=sys.stderr)
        return INTERRUPTED
    if first:
        show(run)
    return 0


def with_flags(given: list[str]) -> Callable[..., int]:
    """The command with a flag for everything that the task, its layers, their cell and the learning can set."""
    return with_settings(train, given)


def show(run: Run) -> None:
    """Metrics of the best model beside the baseline's."""
    parts = [part for part in ("validation", "test") if part in run.results]
    table = Table("metric", *parts, *(["baseline"] if parts else []), "what it is", box=None, pad_edge=False)
    last = run.results[parts[-1]]
    for name in names(last):
        columns = [number(run.results[part]["metrics"].get(name)) for part in parts]
        table.add_row(Text(name), *columns, number(last["baseline"].get(name)), Text(words_of(name, last)))
    console().print(table)
    say_notes(last)
