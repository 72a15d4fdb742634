"""The page: one file that opens from a disk, offline, the same bytes from the same folder."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from headgate.report.curves import curves
from headgate.report.fans import fans, hero
from headgate.report.gates import gates
from headgate.report.hues import variables
from headgate.report.mathematics import mathml
from headgate.report.poster import poster
from headgate.report.scale import TIMES, magnitude
from headgate.report.strip import score_strip
from headgate.report.summary import Row, Summary, summarise
from headgate.report.words import answer, of_task, score, verdict
from headgate.training.run_folder import RunFolder

HUES = 8
PAGE, FIGURE = "report.html", "figure.svg"
TITLE = "Why do gradients vanish, and what do gates do about it?"


def write_report(folder: str | Path) -> Path:
    """Write report.html and figure.svg from what a run folder holds.

    Args:
        folder: with results.json and records/, as `headgate demo` leaves it.

    Returns:
        The page's path.

    Raises:
        ValueError: no run in the folder.
    """
    folder = Path(folder)
    summary = summarise(RunFolder.load(folder))
    page, figure = render(summary), poster(summary.rows)
    (folder / FIGURE).write_text(figure, encoding="utf-8", newline="\n")
    (folder / PAGE).write_text(page, encoding="utf-8", newline="\n")
    return folder / PAGE


def render(summary: Summary) -> str:
    """The page's text."""
    results = summary.results
    failed = [row for row in summary.expected if not row.always]
    where = " and ".join(row.task["phrase"] for row in failed)
    styles = [variables(), template_text("style.css"), template_text("chart.css"), _toggles(results["cells"])]
    return _template().render(
        title=TITLE,
        style=Markup("\n").join(styles),
        as_expected=summary.as_expected,
        alarm=f"The {failed[0].label} did not solve {where} on every seed." if failed else "",
        answer=answer(summary),
        hero=hero(summary.rows[: len(summary.of_task(results["tasks"][0]["name"]))]),
        cells=[_cell(cell, number) for number, cell in enumerate(results["cells"])],
        sections=[_section(task, rows) for task, rows in summary.by_task()],
        method=[_method(row) for row in summary.rows],
        remarks=_remarks(summary),
        version=results["version"],
        command=results["command"],
        machine=results["machine"],
    )


def template_text(name: str) -> Markup:
    """A file of ours beside this one; trusted, so it is not escaped."""
    return Markup((files("headgate.report") / "templates" / name).read_text(encoding="utf-8"))


@cache
def _template():
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    environment.filters["math"] = mathml
    return environment.from_string(str(template_text("page.html.jinja")))


def _toggles(cells: list[dict[str, Any]]) -> Markup:
    """Hide a cell in all charts when its box is not ticked; no script needed. Hues are used again after the last."""
    rules = [f"body:has(#show-s{k}:not(:checked)) .chart .s{k} {{ display: none; }}" for k in range(len(cells))]
    rules += [f".s{k} {{ --hue: var(--c{k % HUES}); }}" for k in range(HUES, len(cells))]
    return Markup("\n".join(rules))


def _section(task: dict[str, Any], rows: list[Row]) -> dict[str, Any]:
    figures = [fans(rows), curves(rows), gates(rows)]
    return {
        "task": task,
        "sentences": of_task(rows),
        "lines": [_line(row) for row in rows],
        "figures": [figure for figure in figures if figure],
    }


def _line(row: Row) -> dict[str, Any]:
    return {
        "label": row.label,
        "style": row.style,
        "parameters": f"{row.parameters:,}",
        "strip": score_strip(row),
        "score": score(row.score),
        "baseline": score(row.baseline),
        "always": row.always,
        "solved": verdict(row),
        "seconds": f"{row.seconds:.1f}",
        "before": magnitude(row.reached("before"), 2),
        "after": magnitude(row.reached("after"), 2),
    }


def _cell(cell: dict[str, Any], number: int) -> dict[str, Any]:
    gates = f"Gates {', '.join(cell['gates'])}" if cell["gates"] else "No gates"
    keeps = f"; {cell['keeps']} keeps the memory" if cell["keeps"] else ""
    origin = "" if cell["where"] == "headgate" else f" From {cell['where']}."
    note = f"{gates}{keeps}. The memory that is followed: {cell['memory']}.{origin}"
    return {**cell, "style": f"s{number}", "note": note}


def _method(row: Row) -> list[str]:
    recipe, trial = row.task["recipe"], row.trials[0]
    start = "orthogonal"
    if trial["start"].get("chrono"):
        start += f", timescales up to {trial['start']['chrono']:g} steps"
    return [
        row.task["title"],
        row.label,
        str(row.hidden_size),
        f"{row.parameters:,}",
        f"{trial['rate']:g}",
        f"{recipe['steps']} {TIMES} {recipe['batch']}",
        start,
        trial["engine"],
        ", ".join(str(t["seed"]) for t in row.trials),
    ]


def _remarks(summary: Summary) -> Iterator[str]:
    yield (
        "Cells are compared at matched parameter counts, head included: each gets the hidden size whose count comes "
        "nearest to the budget."
    )
    yield (
        "Adam; the learning rate stays for the first half of the steps and falls linearly to zero over the second; the "
        "gradient's norm is clipped at 1. Nobody stops early. Rates were chosen on validation sequences and other "
        "seeds, apart for cells with and without gates."
    )
    yield (
        "Recurrent blocks start orthogonal in every cell, the plain network's included. Where a gate keeps the memory, "
        "its bias starts at log u with u uniform up to the timescale shown (chrono initialisation, Tallec & Ollivier "
        "2018)."
    )
    for task in summary.results["tasks"]:
        yield (
            f"{task['title']}: scores on {task['held_out']} sequences never trained on. Solved: {task['rule']}. "
            f"Trivial baseline: {task['baseline_words']}."
        )
    yield (
        "Gradients are the total derivative along every path, recomputed in float64 from the trained weights by "
        "headgate.watch; the highway's share is exact, not the product of the forget gates."
    )
    yield "Vanishing is a state, not a verdict: a network may start with almost no gradient, find it, and learn."
