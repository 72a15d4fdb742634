"""Peers, one file each, found by their files.

A peer's module holds WORDS (what it is, for a table), VERSION, `refusal(workload)` (why it does not run that, or None)
and `prepare(problem, threads)`, which puts the problem's weights into it. Adding a peer is adding a file and naming it
in workloads.py.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

EXTRA = "headgate[bench]"


@dataclass(frozen=True)
class Contender:
    """Something that computes a problem.

    Attributes:
        run: does it once; nothing is left to be done when it returns. This is what is timed.
        named: its results as arrays by name, in the form of `problem.truth`. Not timed.
        engine: what ran, in a word, where there is more than one way.
    """

    run: Callable[[], Any]
    named: Callable[[Any], dict[str, np.ndarray]]
    engine: str = ""


class Missing(Exception):
    """The peer's package is not installed; the message is the reason."""


def names() -> list[str]:
    """All peers."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> ModuleType:
    """A peer's module, by a name of `names`.

    Raises:
        Missing: what it needs is not installed.
    """
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "benchmarks", "headgate"):
            raise
        raise Missing(f"{package} is not installed: pip install '{EXTRA}'") from None
