"""A figure as the page shows it: a picture, and beneath it what it means, what would change it, and its numbers."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

LONGEST_LABEL = 12


@dataclass(frozen=True)
class Figure:
    """A chart and its words.

    Attributes:
        title: what is shown.
        picture: inline SVG.
        reading: how to read it, one or two sentences.
        formula: what is drawn, in LaTeX.
        change: one line, what would make it look different.
        header, numbers: the same as a table, for copying and for those who do not see the picture.
        name: short and unique within a layer, for links and file names.
        expert: the reading in the field's own terms, where the page offers both.
        wide: whether the picture needs the page's full width.
        after: what stands beneath a wide picture and does not scroll with it.
    """

    title: str
    picture: Markup
    reading: str
    formula: str
    change: str
    header: list[str]
    numbers: list[list[str]]
    name: str = ""
    expert: str = ""
    wide: bool = False
    after: str = ""


def short(label: str) -> str:
    """A cell's label, cut where it would run out of its place in a chart."""
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"
