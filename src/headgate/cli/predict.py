"""headgate predict: an answer for every row, as they come."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from headgate.cli._flags import with_later
from headgate.cli._refusal import refusing
from headgate.verbs import prediction


def predict(
    run: Annotated[Path, typer.Argument(help="The run's folder.")],
    data: Annotated[
        str, typer.Argument(help="A file, or - for standard input: JSON lines, or a row a line, answered as they come.")
    ] = "-",
    format: Annotated[Literal["jsonl", "csv"], typer.Option(help="What to write.")] = "jsonl",
    settings: dict[str, Any] | None = None,
) -> int:
    """Answer every row of a file with a trained model: one JSON line a row, or CSV, on standard output."""
    if data == "-" and sys.stdin.isatty():
        print("headgate predict: type a row a line; Ctrl-D ends.", file=sys.stderr)
    with refusing():
        write = _csv() if format == "csv" else _json
        try:
            for answer in prediction.predict(run, sys.stdin.buffer if data == "-" else data, **(settings or {})):
                write(answer)
        except BrokenPipeError:
            # Whoever read our answers has had enough; Python's own flush at exit is not to complain of it.
            sys.stdout = open("/dev/null", "w")  # noqa: SIM115 - for the rest of the process
    return 0


def with_flags(given: list[str]) -> Callable[..., int]:
    """The command with a flag for everything that the run's task can answer with."""
    return with_later(predict, given, "predict")


def _json(answer: dict[str, Any]) -> None:
    print(json.dumps(answer, ensure_ascii=False, allow_nan=False), flush=True)


def _csv() -> Callable[[dict[str, Any]], None]:
    """A writer whose columns are those of the first answer; lists and dicts stand as JSON."""
    out = csv.writer(sys.stdout, lineterminator="\n")
    columns: list[str] = []

    def write(answer: dict[str, Any]) -> None:
        if not columns:
            columns.extend(answer)
            out.writerow(columns)
        if answer.keys() - set(columns):
            raise ValueError(
                f"an answer has {', '.join(answer.keys() - set(columns))}, which the first had not, so it is no row of "
                "this table; use --format jsonl."
            )
        values = (answer.get(name, "") for name in columns)
        out.writerow(
            json.dumps(v, ensure_ascii=False) if isinstance(v, (list, dict)) else "" if v is None else v for v in values
        )
        sys.stdout.flush()

    return write
