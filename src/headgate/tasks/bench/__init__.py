"""Tasks on users' own data: one folder a task, found by the folders; each has a `TASK`."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cache

from headgate.tasks.bench_task import BenchTask


@cache
def names() -> tuple[str, ...]:
    """The names of all tasks, sorted; none is imported."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


@cache
def get(name: str) -> BenchTask:
    """A task by name.

    Raises:
        KeyError: no such task.
    """
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise KeyError(f"no task named {name!r}{hint} Known: {', '.join(names())}.")
    return importlib.import_module(f"{__name__}.{name}").TASK
