"""What a Record may hold: every array's name, axes and meaning. `Record.save` refuses anything else.

Axes, one letter or word each:

    T       steps of the longest row, aligned with the input
    B       rows (sequences)
    H       units of the memory
    gate    facts["gates"], in order
    path    facts["paths"], in order: "highway", the recurrent blocks, "readout"
    cut     facts["cuts"], in order: paths, one knocked out at a time
    lag     array "lags": steps back from the source, ascending, the first is 0
    source  array "sources": steps, in the order of the run, whose loss was followed by itself
    band    three: 10 %, median, 90 % over rows (and sources)
    bin     pieces of time of equal width, array "bins" holds where each begins; "piece" and "pieces": longer ones
    row     array "shown_rows": a few rows that are told one by one; nothing of it where there is one row in all
    earlier array "earlier_sources": a few of the sources before the last
    top     array "top_units": a few units, the one with the largest part of the gradient first
    N       anything else; arrays of one record that share "N1" have the same length there

Gradients stand as log10, since a gradient far back is below what any number format holds; nothing is -inf. NaN means
that there is nothing to say there (a row too short, no gradient).
"""

from __future__ import annotations

from typing import NamedTuple


class Field(NamedTuple):
    """Axes, separated by spaces, and what the array is."""

    axes: str
    meaning: str


ARRAYS: dict[str, Field] = {
    # --- where and when
    "lengths": Field("B", "steps each row took"),
    "lags": Field("lag", "steps back from a source; all of them up to 512, then log-spaced"),
    "sources": Field("source", "steps whose loss was followed by itself; the last loss step of each row counts as -1"),
    "bins": Field("bin", "first step of each piece of time"),
    "pieces": Field("piece", "first step of each of fewer, longer pieces of time"),
    # --- gradients by lag (M1 to M4)
    "lag_profile": Field("band lag", "log10 |dl_s/dm_{s-k}| / |dl_s/dm_s|, all sources"),
    "source_profile": Field("source lag", "log10 of the same, median over rows, each source by itself"),
    "largest_entry": Field("lag", "log10 of the largest |entry| of dl_s/dm_{s-k}, median over rows, last source"),
    "highway_profile": Field("lag", "log10 of the pure highway's part relative to the whole at lag 0, median"),
    "rest_profile": Field("lag", "log10 of what is left when the pure highway is taken away, median"),
    "highway_share": Field("lag", "<highway, total> / |total|^2, median over rows"),
    "cut_profile": Field("cut lag", "log10 relative gradient with one path knocked out, median"),
    "jacobian_norm": Field("band lag", "log10 Frobenius norm of ds_s/ds_{s-k} by random probes: low, estimate, high"),
    "bound": Field("lag", "log10 of the upper bound from the recurrent matrix's norm, where there is one"),
    # --- arrows of one source (the last loss step of each row) by time (M5)
    "arrow_norm": Field("path T", "log10 norm of each path's part of the memory's gradient, median over rows"),
    "arrow_share": Field("path T", "signed share <part, total> / |total|^2, median over rows; in a row they sum to 1"),
    "arrow_cosine": Field("path T", "cosine between part and total, median over rows"),
    "cancellation": Field("T", "sum of the parts' norms over the norm of the total, median over rows; at least 1"),
    "gradient_norm": Field("T", "log10 |dl_s/dm_t| of that source, median over rows"),
    "cut_gradient": Field("cut T", "log10 |dl_s/dm_t| with one path knocked out, median over rows"),
    # --- the same source, row by row, with the gates of that row
    "shown_rows": Field("row", "which rows: the first that the source has a gradient for"),
    "row_gradient": Field("row T", "log10 |dl_s/dm_t| of that row"),
    "row_arrow_norm": Field("row path T", "log10 norm of each path's part of that"),
    "row_arrow_share": Field("row path T", "signed share <part, total> / |total|^2; over paths they sum to 1"),
    "row_local_gradient": Field("row T", "log10 |e_t| of that row"),
    "row_gate_mean": Field("row gate T", "mean over units"),
    "row_keep_mean": Field("row T", "geometric mean over units of the memory's own factor"),
    # --- sources before the last, each by itself
    "earlier_sources": Field("earlier", "their places in sources"),
    "earlier_gradient": Field("earlier T", "log10 |dl_s/dm_t|, median over rows"),
    "earlier_arrow_norm": Field("earlier path T", "log10 norm of each path's part, median over rows"),
    "earlier_arrow_share": Field("earlier path T", "signed share of each path's part, median over rows"),
    # --- the same source, by unit: its gradient is split over units as well as over paths
    "top_units": Field("top", "units by their part of |dl_s/dm_t|^2, mean over rows and steps"),
    "unit_gradient": Field("top T", "log10 |dl_s/dm_{t,j}| of that unit, median over rows"),
    "unit_arrow_norm": Field("top path T", "log10 |size| of each path's part of that, median over rows"),
    "unit_arrow_share": Field(
        "top path T",
        "signed share part_j total_j / |total|^2 of the whole memory's gradient, mean over rows; summed over all units "
        "and paths it is 1",
    ),
    "unit_keep": Field("top T", "geometric mean over rows of that unit's own factor"),
    # --- the whole loss, by time
    "loss_gradient": Field("T", "log10 |dL/dm_t| of the whole loss, median over rows"),
    "local_gradient": Field("T", "log10 |e_t|, the loss's own derivative at that step, median over rows"),
    # --- gates and states (M7 to M13)
    "gate_mean": Field("gate T", "mean over rows and units"),
    "keep_mean": Field("T", "geometric mean over rows and units of the memory's own factor"),
    "gate_values": Field("gate N10", "some of all values, evenly taken"),
    "logit_histogram": Field("gate N1", "share of all values in each piece of the logit axis; NaN for no 0..1 gate"),
    "logit_edges": Field("N1_edges", "edges of those pieces"),
    "saturated_low": Field("gate H", "share of steps below 0.1 (for tanh: below -0.97)"),
    "saturated_high": Field("gate H", "share of steps above 0.9 (for tanh: above 0.97)"),
    "gate_deviation": Field("gate H", "standard deviation of the pre-activation over steps and rows, logit units"),
    "gate_bias_only": Field("gate H", "the gate's value from its bias alone"),
    "gate_trainability": Field("gate H", "mean of g (1 - g), or of 1 - g^2 for tanh"),
    "gate_score": Field("gate H bin", "mean over the piece of time, of the first row"),
    "timescales": Field("H", "-1 / mean log of the memory's own factor, steps"),
    "open_enough": Field("H", "share of steps at which the factor is above 1 - 1/needed lag"),
    "survival": Field("H lag", "mean over starting steps of the product of the factor over k steps"),
    "resets": Field("H", "share of steps at which the factor is below 0.1"),
    "co_resets": Field("T", "share of units that reset at that step, mean over rows"),
    "state_score": Field("H bin", "mean of the memory over the piece of time, of the first row"),
    "readout_weight": Field("H", "root mean square of e_t over what the loss reads, relative to the largest unit's"),
    # --- content (M19), connectivity (M18), learning (M20)
    "provenance": Field("piece piece", "log10 share of the content at the column's piece, written at the row's"),
    "connectivity": Field("source bin", "log10 |dl_s/dx_t|, mean over the piece, median over rows"),
    "parameter_share": Field("lag", "share of the summed norms of the parameter gradient from up to k steps back"),
    "truncation_cosine": Field("lag", "cosine between the parameter gradient truncated after k steps and the whole"),
    # --- dynamics (M6, M14 to M17)
    "lyapunov": Field("N2", "exponents per step, descending"),
    "lyapunov_band": Field("N2", "half-width of each: what the running estimate still moves"),
    "singular_values": Field("N3 N4", "log10, of the Jacobian product over each window; rows are windows"),
    "singular_windows": Field("N3", "length of each window in steps"),
    "eigenvalues_real": Field("N5 N6", "of J_t at sampled steps"),
    "eigenvalues_imaginary": Field("N5 N6", "the same"),
    "eigenvalue_steps": Field("N5", "which steps"),
    # --- the curse of memory (M25)
    "sensitivity": Field("H", "log10 |dh_T/dlambda_j|, lambda_j a factor added to the unit's own, root mean square"),
    # --- causes (M21, M30)
    "ablation": Field("gate N7 3", "low, middle, high of (L - L0) / (L_chance - L0), by facts['ablation_kinds']"),
    "ablation_rows": Field("gate N7 N11", "that effect on each sequence by itself, in the same unit; NaN if not tried"),
    "kill": Field("H 3", "low, middle, high of the same when one unit's memory is held at its mean; NaN if not tried"),
    "kill_predicted": Field("H", "the same by the first-order score, for every unit"),
    "use_lags": Field("N8", "context kept, steps"),
    "use_loss": Field("N8 3", "low, middle, high of loss with that context minus loss with all of it"),
    # --- training (V3)
    "film_steps": Field("N9", "training steps at which was looked"),
    "film": Field("N9 lag", "log10 relative gradient by lag at that training step"),
    "film_loss": Field("N9", "training loss then"),
    "film_gates": Field("N9 gate N1", "share of all values in each piece of the logit axis then; NaN for no 0..1 gate"),
}


def check(name: str, arrays: dict) -> None:
    """Refuse arrays that are not described here, or whose axes disagree with each other.

    Raises:
        ValueError: an unknown name, or an axis of two lengths.
    """
    sizes: dict[str, tuple[int, str]] = {}
    for key, value in arrays.items():
        if key not in ARRAYS:
            raise ValueError(f"Record {name!r}: no array {key!r} is described in headgate.inspection.schema.")
        axes = ARRAYS[key].axes.split()
        if value.ndim != len(axes):
            raise ValueError(f"Record {name!r}: {key} has {value.ndim} axes, but is described as [{', '.join(axes)}].")
        for axis, size in zip(axes, value.shape, strict=True):
            expected = 3 if axis == "band" else int(axis) if axis.isdigit() else sizes.setdefault(axis, (size, key))[0]
            if size != expected:
                other = sizes[axis][1] if axis in sizes else "its description"
                raise ValueError(f"Record {name!r}: {key} has {size} along {axis!r}, but {other} has {expected}.")
