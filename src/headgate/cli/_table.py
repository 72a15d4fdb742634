"""The one table of the demo: a line for each task and cell."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from headgate.report.scale import magnitude
from headgate.report.summary import Row, Summary
from headgate.report.words import score, verdict

COLUMNS = {
    "task": "left",
    "cell": "left",
    "parameters": "right",
    "score": "right",
    "lowest": "right",
    "trivial": "right",
    "solved": "left",
    "s a run": "right",
    "gradient at the first step, before": "right",
    "after training": "right",
}


def results_table(summary: Summary) -> Table:
    """Scores are means over seeds, "lowest" the worst seed; gradients are relative to the last step."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading, side in COLUMNS.items():
        table.add_column(heading, justify=side, max_width=18 if heading.startswith("gradient") else None)
    for task, rows in summary.by_task():
        for number, row in enumerate(rows):
            table.add_row(*_cells(row, task["title"] if number == 0 else ""))
    return table


def legend(summary: Summary) -> list[str]:
    """What the scores are, a line a task."""
    return [
        f"{task['title']}: {task['score_words']}; trivial is {task['baseline_words']}; solved means {task['rule']}."
        for task in summary.results["tasks"]
    ]


def _cells(row: Row, title: str) -> list[Text]:
    words = [
        title,
        row.label,
        f"{row.parameters:,}",
        score(row.score),
        score(min(row.scores)),
        score(row.baseline),
        verdict(row),
        f"{row.seconds:.1f}",
        magnitude(row.reached("before"), 2),
        magnitude(row.reached("after"), 2),
    ]
    styles = ["bold", "", "", "", "", "dim", "green" if row.always else "red", "", "", ""]
    return [Text(word, style=style) for word, style in zip(words, styles, strict=True)]
