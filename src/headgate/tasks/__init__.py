"""What a recurrent network is asked: one file a family of tasks, found by the files."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cache

from headgate.tasks.task import Batch as Batch
from headgate.tasks.task import Task as Task


@cache
def _catalogue() -> dict[str, Task]:
    found: dict[str, Task] = {}
    for module in pkgutil.iter_modules(__path__):
        found |= getattr(importlib.import_module(f"{__name__}.{module.name}"), "NAMES", {})
    return dict(sorted(found.items()))


def names() -> list[str]:
    """The names of all tasks, sorted."""
    return list(_catalogue())


def get(name: str) -> Task:
    """A task by name.

    Raises:
        KeyError: no such task.
    """
    known = _catalogue()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise KeyError(f"no task named {name!r}{hint} Known: {', '.join(known)}.")
    return known[name]
