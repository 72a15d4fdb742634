"""Fewer points for as much as the eye can tell: pieces of a line or of a table, each keeping its peaks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

MOST_POINTS = 400


def peaks(x: np.ndarray, *lines: np.ndarray, most: int = MOST_POINTS) -> list[np.ndarray]:
    """Lines of [N] points cut to about `most`: of each piece of neighbours, the first line's lowest and highest point.

    Args:
        x: [N], ascending.
        lines: [N] each; the first one decides which points stay.

    Returns:
        x and the lines at the points that stay.
    """
    count = len(x)
    if count <= most:
        return [x, *lines]
    edges = np.linspace(0, count, most // 2 + 1).round().astype(int)
    chosen = {0, count - 1}
    for start, end in pairwise(edges):
        piece = lines[0][start:end]
        if len(piece) and np.isfinite(piece).any():
            chosen |= {start + int(np.nanargmin(piece)), start + int(np.nanargmax(piece))}
    order = np.array(sorted(chosen))
    return [values[order] for values in (x, *lines)]


def extremes(values: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """A table of at most [rows, columns]: of each piece the value that stands out most from the table's median.

    Args:
        values: [M, N]; NaN means nothing there, and a piece of nothing stays NaN.
    """
    middle = float(np.nanmedian(values)) if np.isfinite(values).any() else 0.0
    return _along(_along(values, rows, 0, middle), columns, 1, middle)


def edges(count: int, most: int) -> np.ndarray:
    """Where the pieces begin when `count` things are cut into at most `most`; the last is `count`."""
    return np.linspace(0, count, min(count, most) + 1).round().astype(int)


def _along(values: np.ndarray, most: int, axis: int, middle: float) -> np.ndarray:
    if values.shape[axis] <= most:
        return values
    marks = edges(values.shape[axis], most)
    pieces = [np.take(values, range(start, end), axis) for start, end in pairwise(marks)]
    chosen = []
    for piece in pieces:
        off = np.where(np.isfinite(piece), np.abs(piece - middle), -1.0)
        chosen.append(np.take_along_axis(piece, np.expand_dims(off.argmax(axis), axis), axis))
    return np.concatenate(chosen, axis)
