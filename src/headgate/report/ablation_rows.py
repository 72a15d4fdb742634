"""What taking a gate out did to each sequence: the numbers behind a cell of the matrix, drawn when it is chosen."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from markupsafe import Markup

from headgate.report import svg
from headgate.report.layer import Layer

# More sequences than this are thinned, evenly by how much each loses.
MOST = 256
DIGITS = 3


def kept(effects: np.ndarray, most: int = MOST) -> np.ndarray:
    """Which sequences are shown, [N] -> numbers by ascending effect: those that were tried, at most so many of them,
    the lowest and the highest always.
    """
    tried = np.flatnonzero(np.isfinite(effects))
    order = tried[np.argsort(effects[tried], kind="stable")]
    if len(order) <= most:
        return order
    return order[np.linspace(0, len(order) - 1, most).round().astype(int)]


def summary(effects: np.ndarray) -> dict[str, Any]:
    """What can be said of one cell's sequences: how many were tried, how many lose, and what the worst tenth makes up.

    Args:
        effects: [N], NaN for one that was not tried.

    Returns:
        "tried", "lose", "mean", and "worst", the share of the sum that the tenth which loses most makes up; None where
        the sum is not above zero.
    """
    there = np.sort(effects[np.isfinite(effects)])[::-1]
    total = float(there.sum())
    tenth = max(1, math.ceil(len(there) / 10))
    return {
        "tried": len(there),
        "lose": int((there > 0).sum()),
        "mean": _short(total / max(len(there), 1)),
        "tenth": tenth,
        "worst": _short(float(there[:tenth].sum()) / total) if total > 0 else None,
    }


def behind(layer: Layer, gates: list[str], kinds: list[str]) -> Markup:
    """The place where a cell's sequences are drawn, and their numbers for the page's script; nothing without them."""
    rows = layer.array("ablation_rows")
    if rows is None or rows.shape[:2] != (len(gates), len(kinds)):
        return Markup("")
    cells = {}
    for r, gate in enumerate(gates):
        for c, kind in enumerate(kinds):
            order = kept(rows[r, c])
            if len(order):
                cells[f"{r}-{c}"] = {
                    "gate": gate,
                    "kind": kind,
                    "hue": layer.style(gate).split()[0],
                    "sequences": order.tolist(),
                    "effects": [_short(v) for v in rows[r, c][order].tolist()],
                    **summary(rows[r, c]),
                }
    content = {"unit": "loss" if layer.raw_costs else "share", "cells": cells}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(
        '<p class="choose-cell" hidden>Choose a cell to see what it did to each sequence.</p>'
        '<div class="sequences" hidden aria-live="polite"></div>'
        '<script type="application/json" class="sequences-data">{}</script>'
    ).format(Markup(text))


def hit(row: int, column: int, left: float, top: float, width: float, height: float) -> Markup:
    """What the pointer meets of a cell; the page's script makes it a button where there are sequences to show."""
    return svg.rectangle(left, top, width, height, class_="hit", data_cell=f"{row}-{column}", rx=4)


def _short(value: float) -> float:
    """A number in few digits."""
    return float(f"{value:.{DIGITS}g}")
