"""The engines there are, one module each, found by their files; and which of them runs what."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cache
from types import ModuleType

from headgate.engines.contract import Request


@cache
def _engines() -> dict[str, ModuleType]:
    package = importlib.import_module(__package__)
    files = {found.name for found in pkgutil.iter_modules(package.__path__)} - {"contract", "operator", "registry"}
    modules = (importlib.import_module(f"{__package__}.{name}") for name in files)
    by_speed = sorted(modules, key=lambda module: module.PRIORITY, reverse=True)
    return {module.__name__.rpartition(".")[2]: module for module in by_speed}


def names() -> list[str]:
    """All engines, the one to be preferred first."""
    return list(_engines())


def engine_named(name: str) -> ModuleType:
    """An engine's module: `refusal(request)`, `forward(call)`, PRIORITY, ADVANTAGE, CAN.

    Raises:
        ValueError: no such engine.
    """
    if name not in _engines():
        near = difflib.get_close_matches(str(name), names(), n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"no engine named {name!r}; {hint}Known: {', '.join(names())}. None lets headgate choose.")
    return _engines()[name]


def refusal(name: str, request: Request) -> str | None:
    """Why an engine cannot run a request, in its own words where it has them, or None."""
    module = engine_named(name)
    reason = module.refusal(request)
    if reason is not None:
        return reason
    missing = request.needs - getattr(module, "CAN", frozenset())
    if "mean" in missing:
        return f"its kernels compute each unit by itself, and {request.cell.name} takes means over the units of a row"
    return f"its kernels know no masks, which {request.cell.name} has" if missing else None


def choose(request: Request, engine: str | None = None) -> str:
    """The engine to run a request: the one asked for, or the first that can.

    Raises:
        ValueError: no engine of that name.
        RuntimeError: the one asked for cannot run this; the message says which would.
    """
    able = next(name for name in names() if refusal(name, request) is None)
    if engine is None:
        return able
    reason = refusal(engine, request)
    if reason is not None:
        raise RuntimeError(
            f'engine="{engine}" cannot run here: {reason}. Leave engine=None to let headgate choose '
            f'(it would choose "{able}").'
        )
    return engine


def explain(request: Request, engine: str | None = None) -> str:
    """Which engine runs a request and why, in a few words for a repr."""
    if engine is not None:
        return f"{engine} (asked for)"
    able = choose(request)
    preferred = names()[0]
    return f"{able} ({refusal(preferred, request) or engine_named(preferred).ADVANTAGE})"
