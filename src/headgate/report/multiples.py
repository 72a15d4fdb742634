"""Small multiples: places for the same chart of several Records, on the same axes, each under its Record's name."""

from __future__ import annotations

from headgate.report.plot import Box

WIDTH, LEFT, KEY, GAP = 1120.0, 66.0, 76.0, 30.0
TOP, BELOW = 30.0, 72.0
MOST_ACROSS, LETTER = 3, 7.6


def across(count: int) -> int:
    """How many stand beside each other: four as two rows of two, others by threes."""
    return 2 if count in (2, 4) else min(count, MOST_ACROSS)


def places(count: int, tall: float) -> list[Box]:
    """Boxes of the same size over the page's width, with room for words at the left and a key at the right."""
    beside = across(count)
    wide = (WIDTH - LEFT - KEY - GAP * (beside - 1)) / beside
    return [
        Box(left, top, left + wide, top + tall)
        for row, column in (divmod(k, beside) for k in range(count))
        for left, top in [(LEFT + column * (wide + GAP), TOP + row * (tall + BELOW))]
    ]


def key_place(first: Box) -> Box:
    """Where the colours' key stands: to the right of the first row."""
    height = first.bottom - first.top
    return Box(WIDTH - KEY + 18, first.top + 0.2 * height, WIDTH - KEY + 30, first.top + 0.8 * height)


def fitted(name: str, wide: float) -> str:
    """A Record's name, cut where it would run out of its place."""
    most = max(int(wide / LETTER), 2)
    return name if len(name) <= most else name[: most - 1] + "…"
