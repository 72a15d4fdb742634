"""How many directions of the whole state last, added to a Record: Jacobian products, exponents, eigenvalues."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from headgate.inspection.adjoint import Adjoint
from headgate.inspection.eigenvalues import eigenvalues
from headgate.inspection.probes import jacobian_norms, recurrent_bound
from headgate.inspection.record import Record
from headgate.inspection.sensitivity import factor_sensitivity
from headgate.inspection.singular import singular_values
from headgate.inspection.spectrum import lyapunov

# All exponents are asked for up to this many, since with all of them their sum can be checked.
COMPLETE = 128
FEW = 8
# Rows whose exponents are averaged.
ROWS = 4

Found = tuple[dict[str, np.ndarray], dict[str, Any]]


@torch.no_grad()
def with_dynamics(adjoint: Adjoint, record: Record, seed: int = 0) -> Record:
    """A Record with the dynamics of its run measured as well; what could not be says why in facts["missing"].

    Args:
        adjoint: of the run that the record is of.
        record: as `measure` made it.
        seed: of probes.
    """
    if not record.arrays["lengths"].any():
        return _missing(record, {"dynamics": "no row takes a step"})
    row = int(record.arrays["lengths"].argmax())
    measurements: dict[str, Callable[[], Found]] = {
        "jacobian_norm": lambda: _norms(adjoint, record, seed),
        "lyapunov": lambda: _exponents(adjoint, record, seed),
        "singular_values": lambda: _singular(adjoint, row, seed),
        "eigenvalues": lambda: _eigenvalues(adjoint, record, row),
        "sensitivity": lambda: ({"sensitivity": factor_sensitivity(adjoint, seed=seed)}, {}),
    }
    arrays, facts, missing = dict(record.arrays), dict(record.facts), {}
    for name, make in measurements.items():
        try:
            more, said = make()
        except (ValueError, torch.linalg.LinAlgError) as reason:
            missing[name] = str(reason)
            continue
        arrays |= more
        facts |= said
    return _missing(Record(record.name, facts, arrays), missing)


def _missing(record: Record, reasons: dict[str, str]) -> Record:
    return replace(record, facts={**record.facts, "missing": {**record.facts["missing"], **reasons}})


def _norms(adjoint: Adjoint, record: Record, seed: int) -> Found:
    lags = record.arrays["lags"]
    found = jacobian_norms(adjoint, seed=seed)
    there = lags < len(found.estimate)
    band = np.full((3, len(lags)), np.nan)
    for row, values in zip(band, (found.low, found.estimate, found.high), strict=True):
        row[there] = values[lags[there]]
    arrays = {"jacobian_norm": np.where(np.isfinite(band), band, np.nan)}
    bound = recurrent_bound(adjoint.run, lags)
    return (arrays if bound is None else arrays | {"bound": bound}), {"probes": found.probes}


def _exponents(adjoint: Adjoint, record: Record, seed: int) -> Found:
    size = sum(adjoint.run.states[name].shape[-1] for name in adjoint.run.cell.state_names)
    taking = np.flatnonzero(record.arrays["lengths"])[:ROWS]
    found = lyapunov(adjoint, count=None if size <= COMPLETE else FEW, rows=taking.tolist(), seed=seed)
    need = record.facts.get("needs_lag")
    said = {
        "sum": found.sum,
        "closed_form": found.closed_form,
        "reason": found.reason,
        "surviving": None if need is None else found.surviving(need),
        "complete": found.complete,
        "steps": int(found.counted.sum()),
        "largest": float(found.exponents[0]) if np.isfinite(found.exponents[0]) else None,
    }
    horizons = dict(record.facts["horizons"])
    if said["surviving"] is not None and "missing" not in horizons["stored"]:
        horizons["stored"] = {**horizons["stored"], "surviving": said["surviving"]}
    arrays = {"lyapunov": found.exponents, "lyapunov_band": found.band}
    return arrays, {"lyapunov": said, "horizons": horizons}


def _singular(adjoint: Adjoint, row: int, seed: int) -> Found:
    found = singular_values(adjoint, row=row, seed=seed)
    arrays = {"singular_values": found.log10, "singular_windows": np.asarray(found.windows)}
    # A product that is zero has none.
    rank = [float(value) if np.isfinite(value) else None for value in np.asarray(found.stable_rank)]
    return arrays, {"stable_rank": rank, "singular_exact": found.exact}


def _eigenvalues(adjoint: Adjoint, record: Record, row: int) -> Found:
    found = eigenvalues(adjoint, row=row)
    T = record.facts["steps"]
    steps = T - 1 - found.steps if record.facts["reverse"] else found.steps
    arrays = {
        "eigenvalues_real": found.values.real,
        "eigenvalues_imaginary": found.values.imag,
        "eigenvalue_steps": np.asarray(steps),
    }
    return arrays, {}

