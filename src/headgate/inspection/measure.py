"""All that can be measured of one layer and direction from one call, as a Record."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from headgate.graph import equations, trace
from headgate.inspection import gate_kinds, pieces
from headgate.inspection.connectivity import connectivity, input_norms
from headgate.inspection.flow import Stretch
from headgate.inspection.gates import measure_gates
from headgate.inspection.gradients import Gradients, log_norm
from headgate.inspection.lags import at_lag, lag_grid, median
from headgate.inspection.provenance import carried, measure_provenance
from headgate.inspection.record import Record
from headgate.inspection.rules import longest_of
from headgate.inspection.run import Run
from headgate.inspection.schema import ARRAYS
from headgate.inspection.timescales import Timescales, log_size, measure_timescales
from headgate.inspection.truncation import Collected, Truncation
from headgate.inspection.unit_arrows import unit_arrows

if TYPE_CHECKING:
    from headgate.inspection.trace import Trace

SOURCES = 16
# A picture of what came from where has no more pieces of time than this.
TRIANGLE, SCORE = 128, 512
# So many values of each gate are kept as they are, evenly from all there are.
SAMPLE = 20_000
# The survival costs T B H for every lag.
SURVIVAL_ROWS = 8
ROUNDING = 1e-9
HORIZONS = {"1e-3": 1e-3, "1e-7": 1e-7}
NO_GATES = "{cell} has no gates"


def measure(
    seen: Trace, *, needs_lag: int | None = None, tbptt: int | None = None, sources: int = SOURCES, content: bool = True
) -> Record:
    """Gates, time scales, content and gradients of one call, in the terms of `headgate.inspection.schema`.

    Args:
        seen: what `watch` saw.
        needs_lag: how many steps back the task reaches, if known.
        tbptt: after how many steps training cuts the gradient, if it does.
        sources: how many of each row's losses to follow back at most.
        content: also what the memory holds from when, and which input each loss hangs on.
    """
    adjoint, facts = seen.adjoint, _about(seen)
    missing: dict[str, str] = {}
    arrays = {"lengths": seen.lengths, **_gates(seen, needs_lag), "lags": lag_grid(len(adjoint.run.input))}
    facts |= {"needs_lag": needs_lag, "tbptt": tbptt}
    lasting = measure_timescales(adjoint, arrays["lags"], SURVIVAL_ROWS)
    if lasting is None:
        missing["timescales"] = f"{seen.cell.name} has no factor by which a unit keeps what it holds"
    else:
        arrays |= {key: getattr(lasting, key) for key in ("timescales", "survival", "resets", "co_resets")}
    horizons: dict[str, Any] = {"stored": _stored(lasting, missing)}
    try:
        found, truncation = _gradients(seen, arrays, sources, tbptt, content)
    except RuntimeError as reason:
        missing["gradients"] = str(reason)
        horizons["trainable"] = {"missing": str(reason)}
    else:
        horizons["trainable"] = _trainable(arrays, facts["floor"], _reach(adjoint.run, found.origin[0]))
        facts |= {"paths": list(found.paths), "cuts": list(found.cuts), "decay": decay(arrays)}
        facts |= {"parameter_lag_99": truncation.lag_99, "truncation": _at(truncation, tbptt)}
    horizons["used"] = {"missing": "measured by examine, which runs the model again with its memory cut"}
    missing |= {
        "ablation": "measured by examine, which runs the model again with its gates held"
        if facts["gates"]
        else NO_GATES.format(cell=seen.cell.name),
        "kill": "measured by examine, which runs the model again with its units stilled",
    }
    if content:
        held = measure_provenance(adjoint, pieces.edges(len(adjoint.run.input), TRIANGLE, seen.reverse))
        if held is None:
            missing["provenance"] = f"{seen.cell.name} does not carry its memory on by a factor"
        else:
            arrays |= {"pieces": held.bins, "provenance": held.provenance}
    facts |= {"horizons": horizons, "missing": missing}
    return Record(seen.name, facts, in_time(arrays) if seen.reverse else arrays)


def in_time(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A reversed run's arrays, from the order of the run to that of time."""
    T = len(arrays["co_resets"]) if "co_resets" in arrays else arrays["gate_mean"].shape[1]
    found = {}
    for name, value in arrays.items():
        for axis, label in enumerate(ARRAYS[name].axes.split()):
            if label in ("T", "bin", "piece"):
                value = np.flip(value, axis)
        found[name] = value
    for starts in ("bins", "pieces"):
        if starts in found:
            # In the order of the run only the first piece may be shorter, which is the last in time.
            found[starts] = pieces.edges(T, len(found[starts]))[:-1]
    if "sources" in found:
        found["sources"] = np.where(found["sources"] < 0, -1, T - 1 - found["sources"])
    return found


def decay(arrays: dict[str, np.ndarray]) -> dict[str, Any] | None:
    """How fast the relative gradient fades: its factor a step, and after how many steps half of it is left (M2).

    A straight line through log r(k) beyond the first tenth of the lags, by least squares. Nothing where fewer than
    three lags are there; no half-life where it does not fade.
    """
    lags, profile = arrays["lags"], arrays["lag_profile"][1]
    start = max(1, len(lags) // 10)
    there = np.isfinite(profile) & (lags >= lags[min(start, len(lags) - 1)])
    if there.sum() < 3:
        return None
    slope = float(np.polyfit(lags[there], profile[there], 1)[0])
    # What fades by less than rounding over all lags does not fade.
    half = -math.log10(2.0) / slope if slope * float(lags[there][-1]) < -ROUNDING else None
    return {"rate": 10.0**slope, "half_life": half, "from": int(lags[there][0])}


def _about(seen: Trace) -> dict[str, Any]:
    graph, run = trace(seen.cell), seen.adjoint.run
    limits = torch.finfo(seen.dtype)
    keeps = carried(graph)
    return {
        "cell": seen.cell.name,
        "label": seen.cell.name,
        "equations": equations(seen.cell),
        "memory": seen.cell.memory,
        "gates": list(graph.gates),
        "gate_kinds": gate_kinds.kinds(graph),
        "keeps": next((name for name, node in graph.gates.items() if node is keeps), None),
        "paths": [],
        "hidden_size": int(run.states[seen.cell.memory].shape[-1]),
        "steps": len(run.input),
        "rows": int(run.input.shape[1]),
        "reverse": seen.reverse,
        "dtype": str(seen.dtype).removeprefix("torch."),
        "weights": str(seen.weights).removeprefix("torch."),
        "measured_in": str(run.input.dtype).removeprefix("torch."),
        "floor": math.log10(limits.smallest_normal),
        "floor_subnormal": math.log10(limits.smallest_normal) + math.log10(limits.eps),
        "train_length": None,
    }


def _gates(seen: Trace, needs_lag: int | None) -> dict[str, np.ndarray]:
    adjoint = seen.adjoint
    found = measure_gates(adjoint, needs_lag, pieces.edges(len(adjoint.run.input), SCORE, seen.reverse))
    names = "bins gate_mean keep_mean state_score open_enough"
    if found.names:
        names += " logit_histogram logit_edges saturated_low saturated_high gate_deviation gate_bias_only"
        names += " gate_trainability gate_score"
    arrays = {name: value for name in names.split() if (value := getattr(found, name)) is not None}
    if found.names:
        active = adjoint.run.active[..., 0]
        values = [value[active].flatten() for value in adjoint.gates.values()]
        every = max(1, math.ceil(len(values[0]) / SAMPLE))
        arrays["gate_values"] = np.stack([value[::every].float().cpu().numpy() for value in values])
    return arrays


def _stored(lasting: Timescales | None, missing: dict[str, str]) -> dict[str, Any]:
    if lasting is None:
        return {"missing": missing["timescales"]}
    longest = longest_of(lasting.timescales)
    return {
        "max": None if math.isinf(longest) else longest,
        "unbounded": math.isinf(longest),
        **{f"p{100 * q:.0f}": _finite(lasting.quantile(q)) for q in (0.9, 0.5)},
    }


def _gradients(
    seen: Trace, arrays: dict[str, np.ndarray], sources: int, tbptt: int | None, content: bool
) -> tuple[Gradients, Truncation]:
    """Everything that one reverse pass of the sources and the whole loss brings; put among the arrays."""
    adjoint = seen.adjoint
    norms: list[np.ndarray] = []
    grid = arrays["lags"]
    windows = None if tbptt is None else np.intersect1d(grid, [tbptt, *grid[:: max(1, len(grid) // 16)]])
    collected = Collected(adjoint, grid, windows)

    def take(stretch: Stretch) -> None:
        collected.take(stretch)
        if content:
            norms.append(input_norms(adjoint, stretch))

    found = seen.gradients(sources, take)
    arrays |= found.record()
    arrays["sources"] = _steps_of(found)
    if content:
        active = adjoint.run.active[..., 0].cpu().numpy()
        edges = np.append(arrays["bins"], len(active))
        arrays["connectivity"] = connectivity(np.concatenate(norms[::-1], 1), active, edges)
        arrays |= unit_arrows(adjoint, seen.local.sources(1))
    truncation = collected.result()
    arrays |= {"parameter_share": truncation.parameter_share, "truncation_cosine": truncation.truncation_cosine}
    local = next(iter(seen.local.whole().local.values())) * adjoint.run.active
    sizes = log_norm(local, local.new_zeros(local.shape[:2]))
    sizes = sizes.masked_fill(~sizes.isfinite(), math.nan).cpu().numpy()
    arrays |= {"local_gradient": median(sizes, 1)} | _readout(seen, local)
    if content and sizes.shape[1] > 1:
        arrays |= found.by_row()
        arrays |= _of_rows(seen, arrays["shown_rows"]) | {"row_local_gradient": sizes[:, arrays["shown_rows"]].T}
    return found, truncation


def _steps_of(found: Gradients) -> np.ndarray:
    """Median over rows of where each source lies; the last is -1, wherever rows end."""
    origin = np.where(found.origin < 0, np.nan, found.origin)
    steps = np.nan_to_num(median(origin, 1), nan=-1).round().astype(int)
    steps[0] = -1
    return steps


def _readout(seen: Trace, local: Tensor) -> dict[str, np.ndarray]:
    """How strongly each unit is read, of the loss's own derivative e_t, [T, B, H]."""
    largest = local.abs().max()
    if not largest > 0 or local.shape[-1] != seen.adjoint.run.states[seen.cell.memory].shape[-1]:
        return {}
    size = (local / largest).double().square().sum((0, 1)).sqrt()
    return {"readout_weight": (size / size.max()).cpu().numpy()}


def _of_rows(seen: Trace, rows: np.ndarray) -> dict[str, np.ndarray]:
    """What gates and highway are on some rows; NaN where a row takes no step."""
    adjoint, found = seen.adjoint, {}
    active, keep = adjoint.run.active[:, rows, 0], adjoint.keep()

    def told(value: Tensor) -> np.ndarray:
        return value.masked_fill(~active, math.nan).T.float().cpu().numpy()

    if keep is not None:
        found["row_keep_mean"] = told(log_size(keep[:, rows]).mean(-1).exp())
    gates = [told(value[:, rows].mean(-1)) for value in adjoint.gates.values()]
    nothing = np.empty((len(rows), 0, len(active)), np.float32)
    return found | {"row_gate_mean": np.stack(gates, 1) if gates else nothing}


def _reach(run: Run, origin: np.ndarray) -> int:
    """The longest way back from the last source that any row has, to its beginning or to a reset, in steps."""
    active, fresh = (value[..., 0].cpu().numpy() for value in (run.active, run.fresh))
    begins = active & (fresh | (active.cumsum(0) == 1))
    steps = np.arange(len(active))[:, None]
    begin = np.where(begins & (steps <= origin), steps, -1).max(0)
    return int(np.where((origin >= 0) & (begin >= 0), origin - begin, 0).max(initial=0))


def _trainable(arrays: dict[str, np.ndarray], floor: float, reach: int) -> dict[str, Any]:
    # As far as rows are long, NaN stands for a gradient of exactly zero.
    lags = arrays["lags"][arrays["lags"] <= reach]
    profile, largest = arrays["lag_profile"][1, : len(lags)], arrays["largest_entry"][: len(lags)]
    horizons: dict[str, Any] = {}
    for name, eps in HORIZONS.items():
        reached = np.flatnonzero(profile >= math.log10(eps))
        horizons[name] = int(lags[reached[-1]]) if len(reached) else 0
    dead = np.flatnonzero(~(largest >= floor))
    horizons |= {"dead": int(lags[dead[0]]) if len(dead) else None, "measured": reach}
    return horizons | {"at_least": horizons["1e-3"] == int(lags[-1])}


def _at(truncation: Truncation, tbptt: int | None) -> float | None:
    if tbptt is None:
        return None
    cosine = at_lag(truncation.lags, truncation.truncation_cosine, tbptt)
    return None if math.isnan(cosine) else 1.0 - cosine


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
