"""The one comparison of the tests: by name, relative, and every entry that differs is told."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def assert_all_close(actual: Mapping, expected: Mapping, tolerance: float) -> None:
    """Refuse `actual` unless it has the names, shapes and values of `expected`.

    The error of an entry is its largest deviation over the largest magnitude expected in it. So an entry that is
    expected to be all zeros must be zeros exactly, and one that is not finite is refused on either side.

    Raises:
        AssertionError: its message has one line for every entry that differs, beginning with the entry's name.
    """
    assert expected, "nothing was expected, so nothing could differ"
    complaints = [f"{name}: missing" for name in expected if name not in actual]
    complaints += [f"{name}: not expected" for name in actual if name not in expected]
    for name in expected:
        if name in actual:
            complaint = _difference(np.asarray(actual[name]), np.asarray(expected[name]), tolerance)
            complaints += [f"{name}: {complaint}"] if complaint else []
    assert not complaints, f"{len(complaints)} differ (tolerance {tolerance:g}):\n  " + "\n  ".join(complaints)


def _difference(actual: np.ndarray, expected: np.ndarray, tolerance: float) -> str | None:
    if actual.shape != expected.shape:
        return f"shape {actual.shape} instead of {expected.shape}"
    for which, values in (("actual", actual), ("expected", expected)):
        if not np.isfinite(values).all():
            return f"{which} value is not finite at {_place(~np.isfinite(values))}"
    if actual.size == 0:
        return None
    deviation = np.abs(actual - expected)
    scale = np.abs(expected).max()
    # Written so that a tolerance of NaN refuses everything.
    if deviation.max() <= tolerance * scale:
        return None
    place = _place(deviation)
    error = deviation[place] / scale if scale else np.inf
    return f"relative error {error:.2e} at {place}: {actual[place]:.6g} instead of {expected[place]:.6g}"


def _place(values: np.ndarray) -> tuple[int, ...]:
    return tuple(map(int, np.unravel_index(values.argmax(), values.shape)))
