"""One sequence as it stands in a user's file, and what is said when a file cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


class DataError(ValueError):
    """A file or a row that cannot be used, in one sentence: where, what came, what was expected, how to mend it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands; printed as "reviews.csv, line 12, column label".

    Attributes:
        file: as the user named it; "standard input" for what has no name.
        line: counted from 1; None where lines mean nothing.
        column: a name, or a number counted from 1; None for the whole line.
    """

    file: str | Path
    line: int | None = None
    column: str | int | None = None

    def __str__(self) -> str:
        parts = [str(self.file)]
        if self.line is not None:
            parts.append(f"line {self.line}")
        if self.column is not None:
            parts.append(f"column {self.column}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Example:
    """One sequence and what is asked of it.

    Attributes:
        input: text, tokens, or numbers [T, I]; a task says which.
        target: a label, tags, text, ...; None where only a prediction is wanted.
        place: where it stands.
    """

    input: Any
    target: Any
    place: Place
