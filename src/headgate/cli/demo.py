"""headgate demo: why do gradients vanish, and what do gates do about it?"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from headgate import __version__
from headgate.cli import _output
from headgate.cli._progress import TrialProgress
from headgate.cli._refusal import Refusal, missing
from headgate.cli._table import legend, results_table
from headgate.cli.cells import find
from headgate.report import write_report
from headgate.report.summary import Summary, summarise
from headgate.report.words import answer
from headgate.training import workers as pool
from headgate.training.comparison import SEEDS, Contestant, contestants, gather, plan
from headgate.training.recipe import RECIPES
from headgate.training.run_folder import RESULTS, RunFolder

MOST_WORKERS = 8
LARGEST_SEED = 2**31 - 1
NARROWEST = 120


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results; made if it is not there.")] = Path("headgate-demo"),
    seed: Annotated[
        int, typer.Option(min=0, max=LARGEST_SEED, help=f"First of the {SEEDS} seeds each cell is trained with.")
    ] = 0,
    cell: Annotated[
        list[str] | None,
        typer.Option(metavar="CELL", help="A further cell, FILE.py:Class or a name of `headgate cells`; repeatable."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, show_default="one a core", help="Processes at once; the numbers do not depend on it."),
    ] = None,
) -> int:
    """Why do gradients vanish, and what do gates do about it? Train, measure, and write a page.

    A plain RNN, a GRU and an LSTM of the same size learn two tasks that need memory: adding two numbers 100 steps back,
    and digits read pixel by pixel. The gates and gradients of each are measured before and after. Exit code 1 if the
    LSTM does not solve both tasks on every seed.
    """
    _output.check(out, RESULTS)
    lacking = missing("sklearn")
    if lacking:
        raise Refusal(lacking)
    participants = _participants(cell or [])
    try:
        run = _run(participants, seed, workers or _cores(), _command(seed, cell or []))
        with _output.delivery(out) as folder:
            run.save(folder)
            write_report(folder)
    except KeyboardInterrupt:
        print("headgate demo: stopped; nothing was written.", file=sys.stderr)
        return 130
    except pool.WorkerDied as error:
        print(f"headgate demo: {error}", file=sys.stderr)
        return 1
    return _say(summarise(run), out)


def _participants(more: list[str]) -> list[Contestant]:
    for where in more:
        find(where)
    try:
        return contestants(more)
    except ValueError as error:
        raise Refusal(str(error)) from None


def _run(participants: list[Contestant], seed: int, workers: int, command: str) -> RunFolder:
    trials = plan(participants, seed, SEEDS, RECIPES)
    try:
        with TrialProgress(len(trials), Console(stderr=True)) as progress:
            outcomes = pool.run_all(trials, workers, progress)
    except pool.TrialFailed as error:
        raise Refusal(f"a run failed, and nothing was written: {error}") from None
    return gather(participants, trials, outcomes, __version__, command)


def _say(summary: Summary, out: Path) -> int:
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, NARROWEST))
    console.print(results_table(summary))
    console.print()
    for line in legend(summary):
        console.print(Text(line, style="dim"))
    console.print()
    for sentence in answer(summary):
        console.print(Text(sentence))
    console.print(Text(f"\nThe page, with charts and equations: {out / 'report.html'}"), soft_wrap=True)
    if summary.as_expected:
        return 0
    failed = " and ".join(row.task["phrase"] for row in summary.expected if not row.always)
    print(f"headgate demo: the {summary.expected[0].label} did not solve {failed} on every seed.", file=sys.stderr)
    return 1


def _command(seed: int, cell: list[str]) -> str:
    more = [word for where in cell for word in ("--cell", where)]
    return shlex.join(["headgate", "demo", "--seed", str(seed), *more])


def _cores() -> int:
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, MOST_WORKERS)
