"""The page of a comparison: two or more Records side by side, as one offline file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headgate.inspection.record import Record
from headgate.report.comparison import compared, differences, labels, style
from headgate.report.horizons import sentence
from headgate.report.images import standalone, write_texts
from headgate.report.layer import Layer, layers
from headgate.report.watch_page import (
    DETAILS,
    about,
    draw,
    embedded,
    first_small,
    footer,
    gather,
    page_file,
    policy,
    shell,
    template,
)

TITLE, PAGE = "Compared", "comparison.html"


def write_comparison(
    records: Sequence[Record | str | Path] | str | Path,
    out: str | Path,
    *,
    title: str = TITLE,
    names: Sequence[str] | None = None,
    plain: bool = True,
    images: bool = False,
) -> Path:
    """Write a page that shows Records on the same axes, and their differences in numbers against the first.

    Args:
        records: Records, folders that `Record.save` wrote, or one folder that holds such folders; two or more.
        out: the page's path; a folder, or a name without ".html", gets a `comparison.html` inside.
        title: the page's first line.
        names: what to call each; by default what tells them apart.
        plain: whether the page opens with plain wording.
        images: write every chart as SVG and PNG as well, into `<page's name>_charts`.

    Returns:
        The page's path.

    Raises:
        ValueError: fewer than two Records, not one name each, or so many that the page would pass 10 MB.
    """
    found = gather(records, "write_comparison")
    if len(found) < 2:
        raise ValueError(f"write_comparison: {len(found)} Record came, but a comparison takes two or more.")
    if names is not None and len(names) != len(found):
        raise ValueError(f"write_comparison: {len(names)} names came for {len(found)} Records; give one each.")
    path = page_file(out, PAGE)
    path.write_text(render(found, title=title, names=names, plain=plain), encoding="utf-8", newline="\n")
    if images:
        write_texts(charts(found, names), path.with_name(f"{path.stem}_charts"))
    return path


def charts(records: Sequence[Record], names: Sequence[str] | None = None, scheme: str = "light") -> dict[str, str]:
    """Every chart of a comparison as the text of an SVG file, by name: "horizons", "decay", "film", ...

    Args:
        records: two or more.
        names: what to call each; by default what tells them apart.
        scheme: "light" or "dark".
    """
    read = layers(records)
    return {figure.name: standalone(figure, scheme) for figure in compared(read, _called(read, names))}


def render(
    records: Sequence[Record], *, title: str = TITLE, names: Sequence[str] | None = None, plain: bool = True
) -> str:
    """The page's text, with as much detail as its size allows.

    Raises:
        ValueError: it would pass 10 MB even with little detail.
    """
    pages = (_render(records, title, names, plain, detail) for detail in DETAILS)
    return first_small(pages, f"write_comparison: the page of {len(records)} Records")


def _render(records: Sequence[Record], title: str, names: Sequence[str] | None, plain: bool, detail: int) -> str:
    read = layers(records, detail)
    called = _called(read, names)
    header, rows = differences(read, called)
    parts = shell(plain)
    return template("comparison.html.jinja").render(
        **parts,
        title=title,
        plain=plain,
        policy=policy(parts["script"]),
        compared=[
            {"name": name, "style": style(k).split()[0], "facts": about(layer), "sentence": sentence(layer)}
            for k, (name, layer) in enumerate(zip(called, read, strict=True))
        ],
        header=header,
        rows=rows,
        figures=compared(read, called),
        draw=draw,
        footer=footer(records),
        data=embedded(records),
    )


def _called(read: Sequence[Layer], names: Sequence[str] | None) -> list[str]:
    return labels(read) if names is None else list(names)
