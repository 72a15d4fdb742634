"""The problems that reference and engines are tested on, and their truth, computed once a run."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from headgate import cells, reference
from headgate.cells import Cell
from headgate.reference import Case

CELLS: dict[str, Cell] = {name: cells.get(name) for name in cells.names()}
CELLS["lstmp"] = cells.get("lstm", projection=True)
CELLS["greff_fgrp"] = cells.get("greff_fgr", projection=True)
CELLS["layer_norm_lstm"] = cells.get("lstm", layer_norm=True)
CELLS["layer_norm_lstmp"] = cells.get("lstm", projection=True, layer_norm=True)
CELLS["layer_norm_gru"] = cells.get("gru", layer_norm=True)
CELLS["zoneout_lstm"] = cells.get("lstm", zoneout={"h": 0.25, "c": 0.5})
CELLS["zoneout_lstm_training"] = CELLS["zoneout_lstm"]
CELLS["zoneout_layer_norm_peephole_lstm"] = cells.get("peephole_lstm", layer_norm=True, zoneout=0.3)
# Those whose masks are drawn; elsewhere they are their rates.
MASK_SEED = {"zoneout_lstm_training": 2**63 + 11}

OPTIONS: dict[str, dict[str, bool]] = {
    "plain": {},
    "no bias": {"bias": False},
    "lengths": {"lengths": True},
    "reset": {"reset": True},
    "reverse": {"reverse": True},
    "lengths reverse": {"lengths": True, "reverse": True},
    "reset reverse": {"reset": True, "reverse": True},
    "lengths reset": {"lengths": True, "reset": True},
    "lengths reset reverse no bias": {"lengths": True, "reset": True, "reverse": True, "bias": False},
}

SMALL = (4, 3, 2)  # T, B, H; complex-step differences take one run for every number, so this is where they are taken


@cache
def case_of(name: str, shape: tuple[int, int, int] = SMALL, options: str = "plain") -> Case:
    """A random case of a cell of `CELLS`; a projected output has about half the hidden units.

    Lengths and resets are not left to chance: there is an empty row, a full one and, from three rows on, one between;
    a reset falls within a row, one at its beginning and one into its padding.
    """
    cell, (T, B, H) = CELLS[name], shape
    size = (H + 1) // 2 if cell.produces_projection else None
    case = reference.random_case(cell, *shape, O=size, seed=1, **OPTIONS[options])
    lengths = np.roll(np.linspace(T, 0, B).round().astype(int), -1)
    reset = (2 * np.arange(T)[:, None] + np.arange(B)) % 3 == 0
    return replace(
        case,
        lengths=None if case.lengths is None else lengths,
        reset=None if case.reset is None else reset,
        mask_seed=MASK_SEED.get(name),
    )


@cache
def truth(name: str, shape: tuple[int, int, int] = SMALL, options: str = "plain") -> dict[str, np.ndarray]:
    """Values by the reference, gradients by complex-step differences."""
    return reference.value_and_gradients(case_of(name, shape, options))


def traced(case: Case) -> dict[str, np.ndarray]:
    """As `truth`, with the traced gradient: for cases too large for differences."""
    values = reference.unroll(case)
    compared = {name: value for name, value in values.items() if not name.startswith("states_")}
    return compared | {f"d_{name}": value for name, value in reference.traced_gradients(case).items()}
