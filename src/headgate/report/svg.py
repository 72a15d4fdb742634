"""Text of SVG elements, escaped, with numbers in one fixed form so that the same chart gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

Attribute = str | float | int | None


def number(value: float) -> str:
    """Two decimals, without trailing zeros; there is no minus zero."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def element(name: str, *content: str | Markup, **attributes: Attribute) -> Markup:
    """An element; text content and attribute values are escaped, Markup is taken as it is.

    Attributes are written in the order given; `_` in a name stands for `-` and a trailing one is dropped (`class_`);
    those that are None are left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{number(value) if isinstance(value, float) else escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = Markup("").join(content)
    return Markup(f"<{name}{written}>{inside}</{name}>") if inside else Markup(f"<{name}{written}/>")


def group(*content: Markup, **attributes: Attribute) -> Markup:
    """A `g` element."""
    return element("g", *content, **attributes)


def text(x: float, y: float, words: str, **attributes: Attribute) -> Markup:
    """A line of text at a place."""
    return element("text", words, x=float(x), y=float(y), **attributes)


def line(x1: float, y1: float, x2: float, y2: float, **attributes: Attribute) -> Markup:
    """A straight line."""
    return element("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), **attributes)


def rectangle(x: float, y: float, width: float, height: float, **attributes: Attribute) -> Markup:
    """A rectangle by its top left corner."""
    return element("rect", x=float(x), y=float(y), width=float(width), height=float(height), **attributes)


def path(points: Iterable[tuple[float, float]], *, closed: bool = False, **attributes: Attribute) -> Markup:
    """A path through points, in order."""
    places = [f"{number(x)} {number(y)}" for x, y in points]
    return element("path", d="M" + "L".join(places) + ("Z" if closed else ""), **attributes)
