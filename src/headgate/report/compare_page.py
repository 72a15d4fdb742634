"""The page of a comparison: two or more Records side by side, as one offline file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headgate.inspection.record import Record
from headgate.report.comparison import compared, differences, labels, style
from headgate.report.horizons import sentence
from headgate.report.layer import layers
from headgate.report.watch_page import about, draw, embedded, footer, gather, page_file, policy, shell, template

TITLE, PAGE = "Compared", "comparison.html"


def write_comparison(
    records: Sequence[Record | str | Path] | str | Path,
    out: str | Path,
    *,
    title: str = TITLE,
    names: Sequence[str] | None = None,
    plain: bool = True,
) -> Path:
    """Write a page that shows Records on the same axes, and their differences in numbers against the first.

    Args:
        records: Records, folders that `Record.save` wrote, or one folder that holds such folders; two or more.
        out: the page's path; a folder, or a name without ".html", gets a `comparison.html` inside.
        title: the page's first line.
        names: what to call each; by default what tells them apart.
        plain: whether the page opens with plain wording.

    Returns:
        The page's path.

    Raises:
        ValueError: fewer than two Records, or not one name each.
    """
    found = gather(records, "write_comparison")
    if len(found) < 2:
        raise ValueError(f"write_comparison: {len(found)} Record came, but a comparison takes two or more.")
    if names is not None and len(names) != len(found):
        raise ValueError(f"write_comparison: {len(names)} names came for {len(found)} Records; give one each.")
    path = page_file(out, PAGE)
    path.write_text(render(found, title=title, names=names, plain=plain), encoding="utf-8", newline="\n")
    return path


def render(
    records: Sequence[Record], *, title: str = TITLE, names: Sequence[str] | None = None, plain: bool = True
) -> str:
    """The page's text."""
    read = layers(records)
    called = labels(read) if names is None else list(names)
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
