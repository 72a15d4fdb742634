"""What a trial is, said without torch, so that it can be planned in one process and run in another."""

from __future__ import annotations

from dataclasses import dataclass

from headgate.training.recipe import Recipe


@dataclass(frozen=True)
class Trial:
    """One task, one cell, one seed.

    Attributes:
        task: a task's name.
        cell: a name of the catalogue, or FILE.py:Class.
        key: the cell's short, unique name, fit for a folder.
        label: what tables and pages call the cell.
        seed: of weights and training batches.
        recipe: how to train.
        split: held-out sequences to judge by; "validation" while settings are being chosen.
    """

    task: str
    cell: str
    key: str
    label: str
    seed: int
    recipe: Recipe
    split: str = "test"

    @property
    def own(self) -> bool:
        """Whether the cell comes from a user's file."""
        return ":" in self.cell
