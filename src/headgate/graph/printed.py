"""Which cells are printed as C++ for the compiled library, under which names, and printing them.

    python -m headgate.graph.printed csrc/cells
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from headgate import cells
from headgate.cells import Cell
from headgate.graph.cpp import cpp


@cache
def printed() -> dict[Cell, str]:
    """The catalogue's cells, each also with its output projected where it can be, and their names in C++."""
    found: dict[Cell, str] = {}
    for name in cells.names():
        cell = cells.get(name)
        found.setdefault(cell, name)
        if "projection" in cell.switches and not cell.produces_projection:
            found.setdefault(cells.get(cell, projection=True), f"{name}_projected")
    return found


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
