"""Each chart as a file of its own: SVG with its colours written in, and PNG."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import resvg_py
from markupsafe import Markup

from headgate.inspection.record import Record
from headgate.report import svg
from headgate.report.figure import Figure
from headgate.report.horizons import horizons
from headgate.report.hues import SCHEMES, chart_style, settled
from headgate.report.layer import Layer
from headgate.report.river_data import Missing
from headgate.report.river_static import river_svg
from headgate.report.sections import figures

HEADER, ZOOM = 40.0, 2.0


def charts(record: Record) -> dict[str, Figure]:
    """Every chart that a Record has what it takes for, by name: "horizons", "decay", "paths", ..."""
    layer = Layer(record)
    return {"horizons": horizons(layer), **figures(layer)}


def write_images(record: Record, folder: str | Path, png: bool = True, scheme: str = "light") -> list[Path]:
    """Write every chart of a Record, and the unrolled network ("river"), as `<chart>.svg` and `<chart>.png`.

    Args:
        record: what was measured.
        folder: made if it is not there.
        png: also as PNG, twice as large as the SVG says.
        scheme: "light" or "dark".

    Returns:
        The paths.

    Raises:
        ValueError: a scheme of another name.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"write_images: scheme is {scheme!r}, but there are {' and '.join(map(repr, SCHEMES))}.")
    texts = {name: standalone(figure, scheme) for name, figure in charts(record).items()}
    with suppress(Missing):
        texts["river"] = river_svg(record, scheme=scheme)
    return write_texts(texts, folder, png)


def write_texts(texts: Mapping[str, str], folder: str | Path, png: bool = True) -> list[Path]:
    """Write charts that are SVG files already, by name, and each as PNG as well; the folder is made."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in texts.items():
        written.append(folder / f"{name}.svg")
        written[-1].write_text(text, encoding="utf-8", newline="\n")
        if png:
            written.append(folder / f"{name}.png")
            written[-1].write_bytes(bitmap(text))
    return written


def standalone(figure: Figure, scheme: str = "light") -> str:
    """A chart as an SVG file that needs nothing around it: its title on top, its style inside, no CSS variables."""
    inner = re.match(r"<svg.*?</svg>", str(figure.picture), re.S).group(0)
    width, height = (float(v) for v in re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', inner).groups())
    placed = inner.replace("<svg ", f'<svg x="0" y="{svg.number(HEADER)}" width="{width:g}" height="{height:g}" ', 1)
    text = svg.element(
        "svg",
        svg.element("style", Markup(settled(chart_style(), scheme))),
        svg.rectangle(0, 0, width, height + HEADER, class_="paper"),
        svg.text(14, 27, figure.title, class_="headline"),
        Markup(placed),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {svg.number(width)} {svg.number(height + HEADER)}",
        width=width,
        height=height + HEADER,
        role="img",
        class_="chart",
    )
    return f"{text}\n"


def bitmap(text: str, zoom: float = ZOOM) -> bytes:
    """An SVG as PNG."""
    return bytes(resvg_py.svg_to_bytes(svg_string=text, zoom=zoom, font_family="DejaVu Sans"))
