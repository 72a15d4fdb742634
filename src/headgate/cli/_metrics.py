"""Metrics in a table."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

LOSS = "mean loss of an answer"
# Columns where nobody says how many there are: in a file or a pipe.
NARROWEST = 120


def console() -> Console:
    """Standard output; wide enough for a table where it is no terminal."""
    found = Console(soft_wrap=True)
    return found if found.is_terminal else Console(width=max(found.width, NARROWEST), soft_wrap=True)


def number(value: float | None) -> str:
    """A metric, or that there is none."""
    return "-" if value is None else f"{value:.4g}"


def words_of(name: str, found: dict[str, Any]) -> str:
    """What a metric is, as an evaluation says."""
    return found["words"].get(name, LOSS if name == "loss" else "")


def say_notes(found: dict[str, Any]) -> None:
    """What an evaluation says beside its numbers."""
    for note in found["details"].get("notes", []):
        console().print(Text(f"{note}."))


def names(found: dict[str, Any]) -> list[str]:
    """The metrics of an evaluation, and then those that its baselines alone have."""
    return list(dict.fromkeys([*found["metrics"], *found["baseline"]]))
