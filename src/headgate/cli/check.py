"""headgate check: a report on data, before anything is trained."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from headgate.cli._flags import with_settings
from headgate.cli._refusal import refusing
from headgate.verbs import checking


def check(
    data: Annotated[Path, typer.Argument(help="A file, or a folder with files for train, validation and test.")],
    task: Annotated[str | None, typer.Option(help="What it is for.", show_default="guessed")] = None,
    validation: Annotated[Path | None, typer.Option(help="A file for validation.")] = None,
    test: Annotated[Path | None, typer.Option(help="A file for test.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
    settings: dict[str, Any] | None = None,
) -> int:
    """Read data as training would: rows, labels, lengths, what is missing, doubled, leaked, or wrong, and where."""
    with refusing():
        found = checking.check(data, task, validation=validation, test=test, **(settings or {}))
    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        console = Console(soft_wrap=True)
        for line in lines(found):
            console.print(Text(line))
    return 0


def with_flags(given: list[str]) -> Callable[..., int]:
    """The command with a flag for all that says how the data are to be read."""
    return with_settings(check, given)


def lines(found: dict[str, Any]) -> Iterator[str]:
    """A report that one can read."""
    yield f"The task: {found['task']}, since {found['why']}."
    for part, files in found["files"].items():
        names = ", ".join(f"{file['path']} ({file['bytes']:,} bytes, {file['encoding'] or 'binary'})" for file in files)
        yield f"{part}: {names}"
        for name, value in found["splits"][part].items():
            yield from _fact(name, value, "  ")
    for pair, count in found["leakage"].items():
        yield f"inputs in both {pair}: {count:,}"
    yield from (f"To mend: {sentence}" for sentence in found["findings"])


def _fact(name: str, value: Any, margin: str) -> Iterator[str]:
    words = str(name).replace("_", " ")
    if isinstance(value, dict) and value:
        yield f"{margin}{words}"
        for inner, one in value.items():
            yield from _fact(inner, one, margin + "  ")
    elif isinstance(value, list):
        yield f"{margin}{words}: {', '.join(map(str, value)) or 'none'}"
    elif isinstance(value, float):
        yield f"{margin}{words}: {value:.4g}"
    else:
        shown = "none" if value in (None, {}) else str(value)
        yield f"{margin}{words}: {shown}".replace("\n", "⏎").replace("\r", "␍")
