"""What can be said about a layer: each verdict with its number, its rule and its source; level by word and shape."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from headgate.report import svg
from headgate.report.layer import LEVELS, Layer

WORDS = {"bad": "Problem", "warn": "Warning", "note": "Note", "good": "Good"}


def verdicts(layer: Layer) -> list[dict[str, Any]]:
    """As the page's template takes them, the most serious first."""
    return [
        {
            "name": str(verdict.get("name", "")),
            "level": level,
            "word": WORDS[level],
            "icon": icon(level),
            **{key: str(verdict.get(key) or "") for key in ("text", "number", "rule", "source")},
        }
        for verdict in layer.verdicts
        for level in (verdict["level"] if verdict["level"] in LEVELS else "note",)
    ]


def worst(layer: Layer) -> str:
    """The most serious level that was given; "" where nothing was said."""
    return next((level for level in LEVELS if any(v["level"] == level for v in layer.verdicts)), "")


def icon(level: str) -> Markup:
    """A shape a level: an octagon with a cross, a triangle, a disc with a dot, a tick."""
    shapes = {
        "bad": "M7 1h6l6 6v6l-6 6H7l-6-6V7zM6.5 6.5l7 7M13.5 6.5l-7 7",
        "warn": "M10 2l8.5 16h-17zM10 7.5v5M10 15v.6",
        "note": "M10 1.5a8.5 8.5 0 1 0 .01 0zM10 9v6M10 5.4v.6",
        "good": "M10 1.5a8.5 8.5 0 1 0 .01 0zM5.8 10.4l3 3 5.4-6.4",
    }
    drawn = svg.element("path", d=shapes[level])
    return svg.element("svg", drawn, viewBox="0 0 20 20", class_=f"icon {level}", aria_hidden="true")
