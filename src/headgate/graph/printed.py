"""Which cells are printed as C++ for the compiled library, under which names, and printing them.

    python -m headgate.graph.printed csrc/cells
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

from headgate import cells
from headgate.cells import Cell, Zoneout
from headgate.cells.wrappers import Wrapper
from headgate.graph.cpp import cpp

# Those of the catalogue that are compiled in each wrapper too; any other is compiled when it is first run so.
WRAPPED = ("lstm", "gru", "rnn")
ANY_RATE = 0.5


@cache
def printed() -> dict[Cell, str]:
    """The cells compiled beforehand, and their names in C++: the catalogue, each cell also with its output projected
    where it can be, and some in wrappers. Rates are `ANY_RATE`, see `printed_name`."""
    found: dict[Cell, str] = {}
    for name in cells.names():
        cell = cells.get(name)
        found.setdefault(cell, name)
        if "projection" in cell.switches and not cell.produces_projection:
            found.setdefault(cells.get(cell, projection=True), f"{name}_projected")
    for name in WRAPPED:
        found[cells.get(name, layer_norm=True)] = f"layer_norm_{name}"
        found[_at_any_rate(cells.get(name, zoneout=ANY_RATE))] = f"zoneout_{name}"
        found[_at_any_rate(cells.get(name, layer_norm=True, zoneout=ANY_RATE))] = f"zoneout_layer_norm_{name}"
    return found


@cache
def printed_name(cell: Cell) -> str | None:
    """What a cell's passes are called in the compiled library, or None. A rate is no part of the equations."""
    return printed().get(_at_any_rate(cell))


def _at_any_rate(cell: Cell) -> Cell:
    if not isinstance(cell, Wrapper):
        return cell
    inner = replace(cell, cell=_at_any_rate(cell.cell))
    return replace(inner, zoneout=dict.fromkeys(cell.own_rates, ANY_RATE)) if isinstance(cell, Zoneout) else inner


def print_all(folder: Path) -> list[Path]:
    """Write one file a cell, and remove those of cells that are no more."""
    written = []
    for cell, name in printed().items():
        path = folder / f"{name}.cpp"
        text = cpp(cell, name)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        written.append(path)
    for path in set(folder.glob("*.cpp")) - set(written):
        path.unlink()
    return written


if __name__ == "__main__":
    print_all(Path(sys.argv[1]))
