"""Other sets of arrows for the unrolled picture: of one sequence by itself, or of an earlier loss by itself.

A set has what the picture's own arrows have: the memory's gradient, each path's norm and share, and, of a sequence, its
own gates and losses. Norms are packed as they are beside the set's own gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from headgate.inspection.record import Record

ROW, EARLIER = "row", "earlier"
KEPT_WHOLE = 0.0  # log10 of the factor of a state that stands still, past the end of its row


def sets_of(record: Record, kept: list[int], turn: int, rows: int, earlier: int) -> tuple[dict, dict[str, Any]]:
    """The sets' arrays, and what a page says of them.

    Args:
        record: a layer's.
        kept: places of the paths that are drawn.
        turn: -1 for a layer that reads its input from the end: the arrays then stand in the order of its run.
        rows, earlier: how many of each, at most.

    Returns:
        Arrays by name, time on the last axis; and as facts which sequences and which earlier losses are shown, how many
        of each there are beside these, and whether the sequences end at several steps.
    """
    arrays: dict[str, np.ndarray] = {}
    shown, rows_there = _sets(record, ROW, kept, turn, rows, arrays)
    if len(shown):
        _gates_of_rows(record, shown, turn, arrays)
    losses, losses_there = _sets(record, EARLIER, kept, turn, earlier, arrays)
    about = {
        "shown_rows": [int(record.arrays["shown_rows"][k]) for k in shown],
        "earlier_at": _median_steps(record, losses),
        "ends_differ": len(set(np.asarray(record.arrays.get("lengths", ())).tolist()) - {0}) > 1,
        "rows_left_out": rows_there - len(shown),
        "earlier_left_out": losses_there - len(losses),
    }
    return arrays, about


def _sets(
    record: Record, kind: str, kept: list[int], turn: int, most: int, arrays: dict[str, np.ndarray]
) -> tuple[np.ndarray, int]:
    """The first sets of a kind that say anything, put among the arrays; their places, and how many there are in all."""
    names = [f"{kind}_{name}" for name in ("gradient", "arrow_norm", "arrow_share")]
    if not all(name in record.arrays for name in names):
        return np.empty(0, int), 0
    own, norm, share = (np.asarray(record.arrays[name], float)[..., ::turn] for name in names)
    there = np.flatnonzero(np.isfinite(own).any(-1))
    shown = there[:most]
    if len(shown):
        own = arrays[names[0]] = own[shown]
        # By set and path, one below the other, as units are.
        arrays[f"{kind}_norm"] = (norm[shown][:, kept] - own[:, None]).reshape(-1, own.shape[-1])
        arrays[f"{kind}_share"] = share[shown][:, kept].reshape(-1, own.shape[-1])
    return shown, len(there)


def _median_steps(record: Record, losses: np.ndarray) -> list[int]:
    """Where in the input the earlier losses lie, medians over rows, which have their own ends; empty if not known."""
    if "sources" not in record.arrays or not len(losses):
        return []
    return [int(record.arrays["sources"][place]) for place in record.arrays["earlier_sources"][losses]]


def _gates_of_rows(record: Record, shown: np.ndarray, turn: int, arrays: dict[str, np.ndarray]) -> None:
    held = {
        name: np.asarray(record.arrays[name], float)[shown, ..., ::turn]
        for name in ("row_gate_mean", "row_keep_mean", "row_local_gradient")
        if name in record.arrays
    }
    if "row_gate_mean" in held and held["row_gate_mean"].shape[1]:
        arrays["row_gate"] = held["row_gate_mean"].reshape(-1, held["row_gate_mean"].shape[-1])
    if "row_keep_mean" in held:
        with np.errstate(divide="ignore"):
            arrays["row_keep"] = np.nan_to_num(np.log10(np.abs(held["row_keep_mean"])), nan=KEPT_WHOLE, neginf=-np.inf)
    if "row_local_gradient" in held:
        arrays["row_loss"] = np.where(np.isfinite(held["row_local_gradient"]), 0.0, np.nan)
