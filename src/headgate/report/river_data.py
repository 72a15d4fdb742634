"""What the unrolled picture needs of a Record, packed small: quantised arrays in one block of bytes, and their places.

Steps stand in the order of the run, whichever way the layer read its input, so that a gradient always flows from
right to left. Logarithms are kept to .005 of a decade, or as finely as two bytes reach the smallest; shares
and factors are half floats.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from headgate.inspection.record import Record
from headgate.report.hues import hue
from headgate.report.river_room import Room, held, room_for
from headgate.report.river_sets import EARLIER, ROW, sets_of

DECADE, APART_DECADE = 0.05, 0.1
MISSING = {"i2": -32768, "u1": 255, "i1": -128}
# log10 of half the smallest number of a format (IEEE 754; bfloat16 has float32's exponent): a gradient whose norm is
# below has no entry that is not rounded to zero.
FORMATS = {"float64": -323.607, "float32": -45.155, "bfloat16": -40.338, "float16": -7.526}
HIGHWAY, READOUT = "highway", "readout"
# What is shown by itself: its norms stand beside a gradient, so a byte reaches them.
APART = ("unit", ROW, EARLIER)


class Missing(ValueError):
    """The Record does not hold what the picture is drawn from."""


@dataclass(frozen=True)
class Steps:
    """What is drawn of one Record, in the order of the run.

    Attributes:
        facts: JSON types: names of paths, gates and cuts, sizes, the source step.
        arrays: by name, float64, time on the last axis; NaN where there is nothing to say.
    """

    facts: dict[str, Any]
    arrays: dict[str, np.ndarray]


def steps_of(record: Record, room: Room | None = None) -> Steps:
    """Pick out of a Record what the picture shows; of what is shown by itself as much as there is room for.

    Raises:
        Missing: the Record holds no arrows, or none of them is a number.
    """
    for name in ("arrow_norm", "arrow_share", "gradient_norm"):
        if name not in record.arrays:
            why = record.facts.get("missing", {}).get(name, f"the record holds no {name}")
            raise Missing(f"{record.name}: the unrolled picture needs the gradient's arrows, but {why}.")
    facts, turn = record.facts, -1 if record.facts.get("reverse") else 1
    gates, paths = list(facts["gates"]), list(facts["paths"])
    wanted = ("arrow_norm", "arrow_share", "arrow_cosine", "gradient_norm", "cancellation", "cut_gradient")
    wanted += ("gate_mean", "keep_mean")
    arrays = {n: np.asarray(record.arrays[n], float)[..., ::turn] for n in wanted if n in record.arrays}
    if not np.isfinite(arrays["gradient_norm"]).any():
        raise Missing(f"{record.name}: the unrolled picture needs a gradient, but none reached this layer.")
    keep = arrays.pop("keep_mean", None)
    if keep is not None and np.isfinite(keep).any():
        with np.errstate(divide="ignore"):
            arrays["keep"] = np.log10(np.abs(keep))
    if "local_gradient" in record.arrays:
        # Of the loss's own derivative the picture shows only where there is one.
        arrays["loss"] = np.where(np.isfinite(np.asarray(record.arrays["local_gradient"], float)[::turn]), 0.0, np.nan)
    if "provenance" in record.arrays:
        arrays["provenance"] = np.asarray(record.arrays["provenance"], float)[::turn, ::turn]
    T = len(arrays["gradient_norm"])
    kept = [k for k in range(len(paths)) if np.isfinite(arrays["arrow_norm"][k]).any()]
    drawn = [paths[k] for k in kept]
    for name in ("arrow_norm", "arrow_share", "arrow_cosine"):
        if name in arrays:
            arrays[name] = arrays[name][kept]
    room = room_for([record]) if room is None else room
    about = _facts(record, drawn, gates, arrays, T)
    shown = _units(record, arrays, kept, turn, room.units)
    sets, more = sets_of(record, kept, turn, room.rows, room.earlier)
    about |= more | {"top_units": shown, "units_left_out": bool(held(record).units and not shown)}
    about |= {f"{kind}_sources": _sources(drawn, sets, kind) for kind in (ROW, EARLIER)}
    return Steps(about, arrays | sets)


def _units(record: Record, arrays: dict[str, np.ndarray], kept: list[int], turn: int, most: int) -> list[int]:
    """The units with the largest parts of the gradient; their arrows are put among the arrays."""
    names = ("top_units", "unit_gradient", "unit_arrow_norm", "unit_arrow_share")
    if not all(name in record.arrays for name in names):
        return []
    T = len(arrays["gradient_norm"])
    count = min(len(record.arrays["top_units"]), most)
    if not count:
        return []
    own, norm, share = (np.asarray(record.arrays[name], float)[:count, ..., ::turn] for name in names[1:])
    # By unit and path, one below the other; norms as they are beside the whole memory's.
    arrays["unit_gradient"] = own
    arrays["unit_norm"] = (norm[:, kept] - arrays["gradient_norm"]).reshape(-1, T)
    arrays["unit_share"] = share[:, kept].reshape(-1, T)
    if "unit_keep" in record.arrays and "keep" in arrays:
        with np.errstate(divide="ignore"):
            arrays["unit_keep"] = np.log10(np.asarray(record.arrays["unit_keep"], float)[:count, ::turn])
    return [int(unit) for unit in record.arrays["top_units"][:count]]


def _facts(
    record: Record, paths: list[str], gates: list[str], arrays: dict[str, np.ndarray], T: int
) -> dict[str, Any]:
    facts = record.facts
    cuts = list(facts.get("cuts", [])) if "cut_gradient" in arrays else []
    kinds = facts.get("gate_kinds", {})
    about = {
        "name": record.name,
        "label": facts.get("label", facts["cell"]),
        "cell": facts["cell"],
        "memory": facts["memory"],
        "keeps": facts.get("keeps"),
        "paths": paths,
        "hues": {name: hue(name, paths) for name in dict.fromkeys([*paths, *gates])},
        "gates": gates,
        "candidates": [gate for gate in gates if kinds.get(gate) == "candidate"],
        "cuts": [cut for cut in cuts if cut in paths],
        "cut_rows": [cuts.index(cut) for cut in cuts if cut in paths],
        "T": T,
        "rows": int(facts.get("rows", 1)),
        "units": int(facts.get("hidden_size", 0)),
        "reverse": bool(facts.get("reverse", False)),
        "dtype": facts.get("dtype", "float32"),
        "source": source_of(paths, arrays),
        "dammed": dammed(facts.get("keeps"), arrays.get("keep")),
    }
    if "provenance" in arrays:
        bins = np.asarray(record.arrays["bins"]) if "bins" in record.arrays else np.arange(len(arrays["provenance"]))
        ends = np.append(bins, T)
        # Where each piece begins in the order of the run.
        about["bins"] = [int(b) for b in (T - ends[::-1][:-1] if about["reverse"] else ends[:-1])]
    if facts.get("text"):
        words = [str(word) for word in facts["text"]][:T]
        about["text"] = words[::-1] if about["reverse"] else words
    return about


def source_of(paths: list[str], arrays: dict[str, np.ndarray]) -> int:
    """The step whose loss was followed: the last that the readout reaches, or the last with any gradient."""
    if READOUT in paths:
        reached = np.flatnonzero(np.isfinite(arrays["arrow_norm"][paths.index(READOUT)]))
        if len(reached):
            return int(reached[-1])
    return int(np.flatnonzero(np.isfinite(arrays["gradient_norm"]))[-1])


def _sources(paths: list[str], sets: dict[str, np.ndarray], kind: str) -> list[int]:
    """The step whose loss each set of a kind follows."""
    own = sets.get(f"{kind}_gradient", ())
    norms = [sets[f"{kind}_norm"][k * len(paths) : (k + 1) * len(paths)] for k in range(len(own))]
    each = zip(own, norms, strict=True)
    return [source_of(paths, {"gradient_norm": one, "arrow_norm": norm}) for one, norm in each]


def dammed(keeps: str | None, keep: np.ndarray | None) -> bool:
    """Whether the highway has a dam: a gate keeps the memory, or its factor is not simply 1."""
    return keep is not None and (keeps is not None or bool(np.nanmax(np.abs(keep)) > 1e-6))


def packed(steps: Steps) -> tuple[dict[str, Any], bytes]:
    """Facts with the places of the arrays, and the arrays as bytes, little-endian, one after another."""
    codes = {"cancellation": "f2", "arrow_share": "f2", "keep": "f2", "gate_mean": "f2"}
    codes |= {"arrow_cosine": "i1", "loss": "u1", "provenance": "u1"}
    codes |= {f"{kind}_norm": "i1" for kind in APART} | {f"{kind}_share": "f2" for kind in APART}
    codes |= {"unit_keep": "f2", "row_keep": "f2", "row_gate": "f2", "row_loss": "u1"}
    places, parts, at = {}, [], 0
    for name in sorted(steps.arrays):
        code = codes.get(name, "i2")
        values = steps.arrays[name]
        step = {"i2": _fine_enough(values), "u1": -DECADE, "i1": 1 / 120, "f2": 1.0}[code]
        step = APART_DECADE if code == "i1" and name.endswith("_norm") else step
        data = _coded(values, code, step)
        places[name] = {"at": at, "code": code, "step": step, "shape": list(values.shape)}
        # Every array starts on an even byte, as a view of two-byte numbers must.
        data += b"\0" * (len(data) % 2)
        parts.append(data)
        at += len(data)
    return {**steps.facts, "arrays": places}, b"".join(parts)


def _fine_enough(values: np.ndarray) -> float:
    """The finest step in decades with which two bytes reach the largest value; what is endless is told as such."""
    largest = np.abs(values[np.isfinite(values)]).max(initial=0.0)
    return next(step for step in (0.005, 0.01, 0.02, DECADE, 0.1, 0.2, 0.5, 1.0, 10.0) if largest <= 32767 * step)


def _coded(values: np.ndarray, code: str, step: float) -> bytes:
    if code == "f2":
        return np.clip(values, -65000.0, 65000.0).astype("<f2").tobytes()
    limits = np.iinfo(code)
    missing = MISSING[code]
    low = limits.min + (missing == limits.min)
    high = limits.max - (missing == limits.max)
    with np.errstate(invalid="ignore"):
        whole = np.clip(np.rint(np.nan_to_num(values / step)), low, high)
    return np.where(np.isnan(values), missing, whole).astype(f"<{code}").tobytes()


def as_script(content: Any) -> Markup:
    """JSON that cannot end the element it stands in; the same content gives the same bytes."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def as_base64(data: bytes) -> Markup:
    """Bytes as text."""
    return Markup(base64.b64encode(data).decode("ascii"))
