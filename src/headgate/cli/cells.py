"""headgate cells: the catalogue."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from headgate import cells as catalogue
from headgate.cells import Cell
from headgate.cli._refusal import Refusal
from headgate.graph import equations, trace


def cells(
    name: Annotated[str | None, typer.Argument(help="One cell: a name of the list, or FILE.py:Class.")] = None,
) -> int:
    """List the cells, or show one with its gates, states and equations."""
    console = Console(soft_wrap=True)
    if name is None:
        _list(console)
        console.print("headgate cells NAME shows the equations of one.")
    else:
        _show(console, name, find(name))
    return 0


def find(name: str) -> Cell:
    """A cell by name or as FILE.py:Class.

    Raises:
        Refusal: there is none, or the file raises.
    """
    try:
        cell = catalogue.load(name) if ":" in name else catalogue.get(name)
        trace(cell)
        return cell
    except KeyError as error:
        raise Refusal(str(error.args[0])) from None
    except Exception as error:
        # A user's file may raise anything at all; whatever it is, it is that file's and not a fault here.
        raise Refusal(f"the cell {name!r} cannot be used: {type(error).__name__}: {error}") from None


def paper(cell: Cell) -> str:
    """The first line of a cell's docstring, which names its paper."""
    documentation = (type(cell).__doc__ or "").strip()
    return documentation.splitlines()[0] if documentation else ""


def _list(console: Console) -> None:
    families: dict[type[Cell], list[str]] = {}
    for name in catalogue.names():
        families.setdefault(type(catalogue.get(name)), []).append(name)
    for family, names in families.items():
        console.print(Text(paper(catalogue.get(names[0]))), style="bold")
        table = Table(box=None, pad_edge=False, header_style="dim", show_edge=False)
        for heading, width in (("  name", 20), ("gates", 9), ("states", 13), ("switches", None)):
            table.add_column(heading, min_width=width)
        for name in names:
            cell = catalogue.get(name)
            gates = " ".join(trace(cell).gates) or "none"
            switches = cell.name.removeprefix(family.__name__).strip("()")
            table.add_row(f"  {name}", gates, " ".join(cell.state_names), Text(switches))
        console.print(table)
        console.print()


def _show(console: Console, name: str, cell: Cell) -> None:
    keeps = next(iter(cell.timescale), None)
    lines = [
        f"{name}: {cell.name}",
        paper(cell),
        f"gates      {' '.join(trace(cell).gates) or 'none'}",
        f"states     {' '.join(cell.state_names)}; the memory is {cell.memory}",
        f"keeps      {keeps or 'no gate that only keeps'}",
        f"parameters {', '.join(f'{k} {list(v)}' for k, v in cell.parameter_shapes(2, 3, 3).items())} (I = 2, H = 3)",
        "",
        *(f"  {line}" for line in equations(cell)),
    ]
    for line in lines:
        console.print(Text(line))
