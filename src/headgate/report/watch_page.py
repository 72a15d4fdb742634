"""The watch's page: Records in, one file out that opens from a disk, offline, the same bytes from the same Records."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment
from markupsafe import Markup

from headgate.inspection.record import Record
from headgate.report.figure import Figure
from headgate.report.heatmap import palette
from headgate.report.horizons import horizons, sentence
from headgate.report.hues import chart_style, variables
from headgate.report.images import write_images
from headgate.report.layer import Layer, layers
from headgate.report.mathematics import mathml
from headgate.report.page import template_text
from headgate.report.river import river
from headgate.report.river_before import paired
from headgate.report.river_data import Missing
from headgate.report.river_room import BYTES
from headgate.report.sections import groups
from headgate.report.verdicts import icon, verdicts, worst

SCHEMA = 1
TITLE, PAGE = "How far back does it remember?", "watch.html"
# A page of many layers draws its tables of cells coarser, step by step, until it is small enough.
DETAILS, SMALL_BYTES, MOST_BYTES = (256, 128, 64, 32), 3_000_000, 10_000_000
KEPT_ARRAYS = ("lags", "lag_profile", "highway_share", "timescales")


def write_watch_report(
    records: str | Path | Record | Sequence[Record | str | Path],
    out: str | Path,
    *,
    title: str = TITLE,
    plain: bool = True,
    images: bool = False,
    before: str | Path | Record | Sequence[Record | str | Path] | None = None,
) -> Path:
    """Write the page of a watch.

    Args:
        records: Records, folders that `Record.save` wrote, or one folder that holds such folders.
        out: the page's path; a folder, or a name without ".html", gets a `watch.html` inside.
        title: the page's first line.
        plain: whether the page opens with plain wording; the reader may switch.
        images: write every chart as SVG and PNG as well, into `<page's name>_charts/<number of the layer>`.
        before: the same layers before training, likewise; the picture of the network gets a slider that turns to them.

    Returns:
        The page's path.

    Raises:
        ValueError: no Record there, one of another schema, or so many that the page would pass 10 MB; or those before
            training are not of the same layers, sizes and steps.
    """
    found = gather(records)
    page = render(found, title=title, plain=plain, before=[] if before is None else gather(before))
    path = page_file(out, PAGE)
    path.write_text(page, encoding="utf-8", newline="\n")
    if images:
        for number, record in enumerate(found):
            write_images(record, path.with_name(f"{path.stem}_charts") / f"{number}")
    return path


def page_file(out: str | Path, name: str) -> Path:
    """Where a page goes: `out` itself if it is a name in .html, else `name` inside of it; its folder is made."""
    path = Path(out) if Path(out).suffix == ".html" else Path(out) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def gather(
    records: str | Path | Record | Sequence[Record | str | Path], caller: str = "write_watch_report"
) -> list[Record]:
    """Records from wherever they are, in the order given, those of a folder by their folders' names.

    Args:
        records: as for `write_watch_report`; also what `examine` returns, or a mapping of Records.

    Raises:
        ValueError: there are none.
    """
    records = getattr(records, "records", records)
    if isinstance(records, Mapping):
        records = list(records.values())
    if isinstance(records, Record):
        return [records]
    if isinstance(records, (str, Path)):
        folder = Path(records)
        inside = [folder] if (folder / "record.json").is_file() else []
        inside += sorted(path.parent for path in folder.glob("*/**/record.json"))
        if not inside:
            raise ValueError(
                f"{caller}: {folder} holds no record.json, nor does any folder in it; give a folder that "
                "`save` wrote."
            )
        return [Record.load(path) for path in inside]
    found = [record for item in records for record in gather(item, caller)]
    if not found:
        raise ValueError(f"{caller}: an empty list came, but at least one Record is needed.")
    return found


def render(
    records: Sequence[Record], *, title: str = TITLE, plain: bool = True, before: Sequence[Record] = ()
) -> str:
    """The page's text, with as much detail as its size allows; it says so, and warns, if that is not small enough.

    Raises:
        ValueError: it would pass 10 MB even with little detail, or what was before does not match.
    """
    pages = _pages(records, title, plain, paired(records, before))
    page = first_small(pages, f"write_watch_report: the page of {len(records)} layers")
    if len(page.encode()) <= SMALL_BYTES:
        return page
    said = _too_large(len(records), len(page.encode()))
    warnings.warn(f"write_watch_report: {said}", stacklevel=3)
    body, end, rest = page.rpartition("</footer>")
    return f"{body}<p>{said[0].upper()}{said[1:]}</p>{end}{rest}"


def _pages(records: Sequence[Record], title: str, plain: bool, before: Sequence[Record]) -> Iterator[str]:
    """The page, ever smaller."""
    picture = _river(records, before)
    if len(records) == 1:
        yield from (_render(records, title, plain, detail, picture) for detail in DETAILS)
        return
    yield _render(records, title, plain, DETAILS[0], picture)
    # Of several layers the picture shows less beside itself, and charts are compressed, before any is drawn coarser.
    picture = _river(records, before, BYTES // 4)
    yield from (_render(records, title, plain, detail, picture, packed=True) for detail in DETAILS)


def first_small(pages: Iterable[str], what: str) -> str:
    """The first of ever smaller pages that is small enough, or the last.

    Raises:
        ValueError: even that is more than `MOST_BYTES`.
    """
    for page in pages:
        size = len(page.encode())
        if size <= SMALL_BYTES:
            return page
    if size > MOST_BYTES:
        raise ValueError(f"{what} would be {size / 1e6:.0f} MB; give fewer at once.")
    return page


def _too_large(count: int, size: int) -> str:
    """How large a page is that no coarser drawing makes small, why, and how to get a smaller one."""
    whole, each = (f"{share / 1e6:.1f} MB" for share in (size, size / count))
    fit = SMALL_BYTES * count // size
    mend = f"give about {fit} at once" if fit else "watch shorter sequences"
    return (
        f"the page is {whole} with the least detail, as every layer takes {each} of charts and tables; {mend} to stay "
        f"under {SMALL_BYTES / 1e6:.0f} MB."
    )


def _render(
    records: Sequence[Record],
    title: str,
    plain: bool,
    detail: int,
    picture: tuple[Markup, str],
    *,
    packed: bool = False,
) -> str:
    found = layers(records, detail)
    parts = shell(plain)
    hero, no_hero = picture
    return template("watch.html.jinja").render(
        **parts,
        title=title,
        plain=plain,
        policy=policy(parts["script"], hero),
        layers=[_layer(layer) for layer in found],
        packed=packed,
        river=hero,
        no_river=no_hero,
        draw=draw,
        footer=footer(records),
        data=embedded(records),
    )


def shell(plain: bool) -> dict[str, Markup]:
    """What every page of the watch has: its style, its script, and the two choices at its top."""
    return {
        "style": Markup("\n").join([variables(), Markup(chart_style()), template_text("watch.css")]),
        "script": Markup("").join(template_text(f"{name}.js") for name in ("watch_unpack", "watch", "watch_rows")),
        "controls": Markup(template("controls.html.jinja").render(plain=plain)),
    }


def _river(records: Sequence[Record], before: Sequence[Record] = (), most: int = BYTES) -> tuple[Markup, str]:
    """The picture of the network, or why there is none."""
    try:
        return river(records, before, most), ""
    except Missing as reason:
        return Markup(""), str(reason)


def policy(script: Markup, *others: Markup) -> str:
    """What a browser may do for the page: show it, and run the scripts that came with it; nothing from anywhere."""
    bodies = [str(script), *(body for part in others for body in re.findall(r"<script>(.*?)</script>", part, re.S))]
    hashes = [base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in bodies]
    allowed = " ".join(f"'sha256-{value}'" for value in hashes)
    return f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {allowed}; base-uri 'none'"


def draw(key: str, figure: Figure, heading: str) -> Markup:
    """A figure with its words and its table."""
    return Markup(template("figure.html.jinja").render(key=key, figure=figure, heading=heading))


def embedded(records: Sequence[Record]) -> Markup:
    """Facts and the short arrays, for programs that read the page; what could end a script is written otherwise."""
    content = {
        "schema": SCHEMA,
        "palette": base64.b64encode(palette().tobytes()).decode(),
        "records": [
            {
                "name": record.name,
                "facts": _plain(record.facts),
                "arrays": {name: _plain(record.arrays[name].round(4)) for name in KEPT_ARRAYS if name in record.arrays},
            }
            for record in records
        ],
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _plain(value: Any) -> Any:
    """JSON types only; what is no finite number is null."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _layer(layer: Layer) -> dict[str, Any]:
    level = worst(layer)
    return {
        "key": layer.key,
        "name": layer.name,
        "cell": layer.label,
        "title": layer.title,
        "facts": about(layer),
        "sentence": sentence(layer),
        "horizons": [_short(layer, "stored", "max"), _short(layer, "trainable", "1e-3"), _short(layer, "used", "lag")],
        "verdicts": verdicts(layer),
        "worst": level,
        "need": layer.need,
        "icon": icon(level) if level else "",
        "first": horizons(layer),
        "groups": groups(layer),
    }


def about(layer: Layer) -> str:
    """A layer in one line: sizes, format, loss."""
    facts = layer.facts
    parts = [f"{facts.get('hidden_size')} units", f"{layer.steps:,} steps"]
    if facts.get("rows"):
        parts.append(f"{facts['rows']} sequences")
    formats = str(facts.get("dtype", "")), facts.get("weights")
    parts.append(formats[0] if formats[1] in (None, formats[0]) else f"{formats[0]} with weights in {formats[1]}")
    loss = facts.get("loss") or {}
    if loss.get("value") is not None:
        chance = f" (without memory {loss['chance']:.3g})" if loss.get("chance") is not None else ""
        parts.append(f"{loss.get('unit', 'loss')} {loss['value']:.3g}{chance}")
    return " · ".join(part for part in parts if part)


def _short(layer: Layer, name: str, key: str) -> str:
    facts = layer.horizon(name)
    if facts.get(key) is None:
        return "without end" if facts.get("unbounded") else "\u2013"
    value = facts[key]
    words = f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
    return f"≥ {words}" if facts.get("at_least") else words


def footer(records: Sequence[Record]) -> str:
    """The page's last line."""
    versions = sorted({str(record.facts["headgate"]) for record in records if record.facts.get("headgate")})
    return f"headgate {', '.join(versions)}".rstrip() + " · this file needs no network and sends nothing anywhere"


def _packed(text: str) -> str:
    """Compressed, in base64; the same bytes for the same text."""
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


@cache
def template(name: str):
    """One of our page templates, escaping all that it is given."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False)
    environment.filters["math"] = mathml
    environment.filters["packed"] = _packed
    return environment.from_string(str(template_text(name)))
