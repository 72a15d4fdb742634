"""Metrics in a table."""

from __future__ import annotations

from typing import Any

LOSS = "mean loss of an answer"


def number(value: float | None) -> str:
    """A metric, or that there is none."""
    return "-" if value is None else f"{value:.4g}"


def words_of(name: str, found: dict[str, Any]) -> str:
    """What a metric is, as an evaluation says."""
    return found["words"].get(name, LOSS if name == "loss" else "")
