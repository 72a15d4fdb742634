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
        console.print(_list())
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


def _list() -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("name", "gates", "states", "equations from"):
        table.add_column(heading, overflow="fold")
    for name in catalogue.names():
        cell = catalogue.get(name)
        switches = cell.name.partition("(")[2].rstrip(")")
        note = f"{paper(cell)}{f' With {switches}.' if switches else ''}"
        table.add_row(name, " ".join(trace(cell).gates) or "none", " ".join(cell.state_names), Text(note))
    return table


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
