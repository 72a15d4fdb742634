"""headgate eval: every metric of a trained model, and the baseline's beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table
from rich.text import Text

from headgate.cli._flags import with_later
from headgate.cli._metrics import console, names, number, say_notes, words_of
from headgate.cli._refusal import refusing
from headgate.verbs import evaluation


def eval(
    run: Annotated[Path, typer.Argument(help="The run's folder.")],
    data: Annotated[
        Path | None, typer.Argument(help="A file, or a folder that has one.", show_default="the run's own rows")
    ] = None,
    split: Annotated[
        Literal["test", "validation", "train"], typer.Option(help="Which of the run's rows, or of a folder's files.")
    ] = "test",
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
    settings: dict[str, Any] | None = None,
) -> int:
    """Judge a trained model on rows that it has not seen, beside a trivial baseline."""
    with refusing():
        found = evaluation.evaluate(run, data, split, **(settings or {}))
    if as_json:
        print(json.dumps(found, indent=1, allow_nan=False))
    else:
        show(found)
    return 0


def with_flags(given: list[str]) -> Callable[..., int]:
    """The command with a flag for everything that the run's task can be judged with."""
    return with_later(eval, given, "evaluate")


def show(found: dict[str, Any]) -> None:
    """A line a metric."""
    out = console()
    table = Table("metric", "model", "baseline", "what it is", box=None, pad_edge=False)
    for name in names(found):
        value = found["metrics"].get(name)
        table.add_row(Text(name), number(value), number(found["baseline"].get(name)), Text(words_of(name, found)))
    out.print(table)
    out.print(Text(f"{found['rows']:,} rows; the baseline: {found['baseline_words']}."))
    say_notes(found)

