"""What may be given to a layer's constructor, refused in torch.nn's order and words where it has them."""

from __future__ import annotations

import numbers
import warnings
from typing import Any

import torch

from headgate import cells, engines
from headgate.cells import Cell

_PROJECTION = "proj_size argument is only supported for LSTM, not RNN or GRU"


def check_options(values: dict[str, Any]) -> None:
    """Check a constructor's arguments.

    Raises:
        TypeError: a size or a switch of the wrong type.
        ValueError: a size or probability out of range, or two options that exclude each other.
    """
    dropout, num_layers = values["dropout"], values["num_layers"]
    if not isinstance(dropout, numbers.Real) or isinstance(dropout, bool) or not 0 <= dropout <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element being zeroed, "
            f"but got {dropout!r}"
        )
    for name in ("bias", "batch_first", "bidirectional", "learnable_state", "orthogonal"):
        # torch.nn takes bidirectional=1 as well
        if not isinstance(values[name], bool) and not (name == "bidirectional" and values[name] in (0, 1)):
            raise TypeError(f"{name} should be of type bool, got: {type(values[name]).__name__}")
    for name in ("input_size", "hidden_size", "num_layers", "proj_size"):
        if not isinstance(values[name], int):
            raise TypeError(f"{name} should be of type int, got: {type(values[name]).__name__}")
    for name in ("input_size", "hidden_size", "num_layers"):
        if values[name] <= 0:
            raise ValueError(f"{name} must be greater than zero, but got {values[name]}")
    if values["proj_size"] < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if values["proj_size"] >= values["hidden_size"]:
        raise ValueError("proj_size has to be smaller than hidden_size")
    _check_ours(values)
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
            f"greater than 1, but got dropout={dropout} and num_layers={num_layers}",
            stacklevel=4,
        )


def _check_ours(values: dict[str, Any]) -> None:
    engine, dtype = values["engine"], values["dtype"]
    if engine is not None:
        if not isinstance(engine, str):
            raise TypeError(f"engine={engine!r} is no name; choose one of {', '.join(engines.names())}, or None.")
        engines.engine_named(engine)
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise TypeError(f"dtype={dtype!r} is not a floating-point torch.dtype, as weights need.")
    for name in ("forget_bias", "chrono"):
        value = values[name]
        if value is not None and (not isinstance(value, numbers.Real) or isinstance(value, bool)):
            raise TypeError(f"{name} should be a number or None, got: {type(value).__name__}")
    if values["forget_bias"] is not None and values["chrono"] is not None:
        raise ValueError("forget_bias and chrono both set the bias of the gate that keeps the memory; give one.")


def cell_with_options(cell: str | Cell | type[Cell], switches: dict[str, Any], proj_size: int, bias: bool) -> Cell:
    """The cell with its switches and wrappers set, projected if a projection's size was given.

    Raises:
        ValueError: a projection without a size, or a size for a cell that cannot project.
        KeyError, TypeError: as `cells.get`.
    """
    if "projection" in switches:
        raise TypeError("projection is switched on by proj_size, the projected output's size; give that instead.")
    found = cells.get(cell, **switches)
    if not bias:
        found = found.without_bias()
    if found.produces_projection and not proj_size:
        raise ValueError(f"{found.name} projects its output, so it needs a proj_size greater than zero.")
    if not proj_size or found.produces_projection:
        return found
    if "projection" not in found.switches:
        raise ValueError(f"{_PROJECTION}: {found.name} has no projection; leave proj_size=0.")
    return cells.get(found, projection=True)


def refuse_projection(kwargs: dict[str, Any]) -> None:
    """As torch.nn's RNN and GRU, whatever its value."""
    if "proj_size" in kwargs:
        raise ValueError(f"{_PROJECTION}; leave it out.")
