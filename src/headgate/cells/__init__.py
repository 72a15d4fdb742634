"""The catalogue: one file a family, each with the names it goes by. Adding a cell is adding a file."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
import sys
from functools import cache
from pathlib import Path

from headgate.cells.cell import Cell as Cell
from headgate.cells.cell import Gates as Gates
from headgate.cells.cell import Matrix as Matrix
from headgate.cells.cell import State as State
from headgate.cells.operations import exp as exp
from headgate.cells.operations import identity as identity
from headgate.cells.operations import log as log
from headgate.cells.operations import mean as mean
from headgate.cells.operations import relu as relu
from headgate.cells.operations import sigmoid as sigmoid
from headgate.cells.operations import sqrt as sqrt
from headgate.cells.operations import tanh as tanh
from headgate.cells.wrappers import LayerNorm as LayerNorm
from headgate.cells.wrappers import Zoneout as Zoneout
from headgate.cells.wrappers import wrap


@cache
def _catalogue() -> dict[str, Cell]:
    found: dict[str, Cell] = {}
    for module in pkgutil.iter_modules(__path__):
        for name, cell in getattr(importlib.import_module(f"{__name__}.{module.name}"), "NAMES", {}).items():
            if name in found:
                raise ValueError(f"headgate.cells: two files name a cell {name!r}.")
            found[name] = cell
    return dict(sorted(found.items()))


def names() -> list[str]:
    """The names of all cells, sorted."""
    return list(_catalogue())


def get(
    cell: str | Cell | type[Cell], *, layer_norm: object = False, zoneout: object = 0.0, **switches: object
) -> Cell:
    """A cell by name, class or object, with switches set.

    Args:
        cell: a name of the catalogue ("lstm"), a user's cell object, or its class.
        layer_norm: True for `LayerNorm` around it, or that wrapper's settings, such as `{"eps": 1e-3}`.
        zoneout: rates of `Zoneout` around it: a number, or one a state, such as `{"h": 0.1, "c": 0.5}`; 0 for none.
        switches: fields of the cell's family, such as `peephole=True`.

    Raises:
        KeyError: no such name.
        TypeError: not a cell, a switch it does not have, or a setting of the wrong type.
        ValueError: a setting out of range, or a wrapper that does not fit the cell.
    """
    if isinstance(cell, str):
        known = _catalogue()
        if cell not in known:
            near = difflib.get_close_matches(cell, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise KeyError(f"no cell named {cell!r}{hint} Known: {', '.join(known)}.")
        found = known[cell]
    elif isinstance(cell, type) and issubclass(cell, Cell):
        found = cell()
    elif isinstance(cell, Cell):
        found = cell
    else:
        came = f"the class {cell.__name__}" if isinstance(cell, type) else repr(cell)
        raise TypeError(f"a cell is a name, a Cell or its class, but got {came}; see headgate.cells.names().")
    if type(found).__hash__ is None:
        raise TypeError(f"{type(found).__name__} can change, and a cell may not: make it a @dataclass(frozen=True).")
    for switch in switches:
        if switch not in found.switches:
            raise TypeError(f"{found.name} has no switch {switch!r}; it has {', '.join(found.switches) or 'none'}.")
    return wrap(found.with_switches(**switches) if switches else found, layer_norm, zoneout)


def load(where: str) -> Cell:
    """A cell from a user's own file.

    Args:
        where: "path/to/file.py:Name", the class (or object) in that file.

    Raises:
        ValueError: no such file, or nothing of that name in it.
        TypeError: what is there is not a cell.
    """
    path, _, attribute = where.rpartition(":")
    if not attribute or not Path(path).is_file():
        raise ValueError(f"a cell of your own is named as file.py:Class, but {where!r} is not a file and a name.")
    spec = importlib.util.spec_from_file_location(f"headgate_cell_{Path(path).stem}", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} cannot be read as Python; give a .py file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look a class's module up by name
    spec.loader.exec_module(module)
    if not hasattr(module, attribute):
        raise ValueError(f"{path} has no {attribute!r}; name the class of your cell.")
    return get(getattr(module, attribute))
