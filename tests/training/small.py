"""Trials small enough for a test, and a cell file of one's own."""

from __future__ import annotations

from pathlib import Path

from headgate.training.recipe import Recipe
from headgate.training.trial import Trial

TINY = Recipe(budget=400, steps=4, batch=8, gated_rate=0.02, plain_rate=0.001, clip=1.0, longest=20)

OWN_CELL = """
from headgate.cells import Cell, Gates, State, sigmoid, tanh
{before}
class Own(Cell):
    '''A leaky unit.'''
    gates = "f n"

    def step(self, x, U, s):
        f = sigmoid(x.f + U.f(s.h))
        n = tanh(x.n + U.n(s.h))
        return State(h=f * s.h + (1.0 - f) * n), Gates(f=f, n=n)
"""


def trial(task: str = "digits", cell: str = "lstm", seed: int = 0, recipe: Recipe = TINY) -> Trial:
    return Trial(task, cell, cell.rpartition(":")[2].lower(), cell.rpartition(":")[2], seed, recipe)


def own_cell(folder: Path, before: str = "") -> str:
    """FILE.py:Own, with some code before the class."""
    path = folder / "own.py"
    path.write_text(OWN_CELL.format(before=before))
    return f"{path}:Own"


def without_seconds(facts: dict) -> dict:
    return {key: value for key, value in facts.items() if key != "seconds"}
