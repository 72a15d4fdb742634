"""The one table of the demo: a line for each task and cell, narrow enough for 80 columns."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from headgate.report.scale import magnitude
from headgate.report.summary import Row, Summary
from headgate.report.words import score, verdict

COLUMNS = {
    "task": "left",
    "cell": "left",
    "params": "right",
    "score": "right",
    "trivial": "right",
    "solved": "left",
    "s a run": "right",
    "gradient\nbefore": "right",
    "gradient\nafter": "right",
}


def results_table(summary: Summary) -> Table:
    """Scores and seconds are means over seeds; gradients are those at the first step, relative to the last."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading, side in COLUMNS.items():
        table.add_column(heading, justify=side, vertical="bottom")
    for task, rows in summary.by_task():
        for number, row in enumerate(rows):
            table.add_row(*_cells(row, task["name"] if number == 0 else ""))
    return table


def legend(summary: Summary) -> list[str]:
    """What the columns are, a line a task and one for the gradient."""
    lines = [
        f"{task['name']}: score is {task['score_words']}; trivial is {task['baseline_words']}; "
        f"solved is {task['rule']}."
        for task in summary.results["tasks"]
    ]
    return [*lines, "gradient: what reaches the first step, relative to the last, before and after training."]


def _cells(row: Row, task: str) -> list[Text]:
    words = [
        task,
        row.label,
        f"{row.parameters:,}",
        score(row.score),
        score(row.baseline),
        verdict(row),
        f"{row.seconds:.1f}",
        magnitude(row.reached("before"), 2),
        magnitude(row.reached("after"), 2),
    ]
    styles = ["bold", "", "", "", "dim", "green" if row.always else "red", "", "", ""]
    return [Text(word, style=style) for word, style in zip(words, styles, strict=True)]
