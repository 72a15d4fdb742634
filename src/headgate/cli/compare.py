"""headgate compare: several cells on your own data, side by side."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.text import Text

from headgate.cli._flags import with_settings
from headgate.cli._refusal import refusing
from headgate.verbs import comparison


def compare(
    data: Annotated[Path, typer.Argument(help="A file, or a folder with files for train, validation and test.")],
    task: Annotated[str | None, typer.Option(help="What to learn.", show_default="guessed")] = None,
    cell: Annotated[
        list[str] | None,
        typer.Option(help="A cell; repeatable, the first sets the size.", show_default="lstm, gru, rnn"),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each cell, with seeds from 0 on.")] = 3,
    matched: Annotated[
        Literal["parameters", "steps", "time"], typer.Option(help="What is the same for all.")
    ] = "parameters",
    out: Annotated[Path, typer.Option(help="A new folder for the runs and the table.")] = Path("comparison"),
    validation: Annotated[Path | None, typer.Option(help="A file to choose the best model by.")] = None,
    test: Annotated[Path | None, typer.Option(help="A file to judge it by at the end.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Training time that is enough for a run.")] = None,
    watch: Annotated[bool, typer.Option(help="Look at the layers' memory; without, there is no horizon.")] = True,
    settings: dict[str, Any] | None = None,
) -> int:
    """Train several cells on your own data, several seeds each: scores, time, memory and horizons side by side."""
    console = Console(stderr=True, soft_wrap=True)
    try:
        with refusing():
            found = comparison.compare(
                data,
                task,
                cells=cell or ("lstm", "gru", "rnn"),
                seeds=range(seeds),
                matched=matched,
                out=out,
                validation=validation,
                test=test,
                minutes=minutes,
                watch=watch,
                say=lambda sentence: console.print(Text(sentence)),
                **(settings or {}),
            )
    except KeyboardInterrupt:
        print(f"headgate compare: stopped; runs that were finished are in {out}.", file=sys.stderr)
        return 130
    print(comparison.table(found), end="")
    print(f"The runs: {out}")
    return 0


def with_flags(given: list[str]) -> Callable[..., int]:
    """The command with a flag for everything that task, layers and learning can set."""
    return with_settings(compare, given, without=("cell", "seed"))
