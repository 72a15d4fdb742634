"""The README's part: a line a workload, beside the fastest peer, between two markers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.results import Row
from benchmarks.table import best_peers, conditions, markdown, peer_words, ratio_words, timed_rows
from benchmarks.workloads import Workload

BEGIN, END = "<!-- headgate bench writes from here -->", "<!-- to here -->"
COLUMNS = ("workload", "fastest peer", "ours, ms", "peer, ms", "times as fast")


def summary(rows: Sequence[Row], known: Mapping[str, Workload]) -> str:
    """The text between the markers: every workload outside the grid that was timed, and how the grid went."""
    best = best_peers(timed_rows(rows))
    lines = [
        [
            known[name].words,
            peer_words(row),
            f"{row['ours_s'] * 1e3:.2f}",
            f"{row['peer_s'] * 1e3:.2f}",
            ratio_words(row["ratio"]),
        ]
        for name, row in best.items()
        if not known[name].grid
    ]
    grid = [row["ratio"] for name, row in best.items() if known[name].grid]
    parts = [f"{conditions(list(best.values()))}.", markdown(COLUMNS, lines)]
    if grid:
        losses = sum(ratio < 1 for ratio in grid)
        parts.append(
            f"The plain LSTM beside the fastest of all peers at {len(grid)} sizes: {len(grid) - losses} wins, {losses} "
            f"losses, from {min(grid):.2f} to {max(grid):.2f} times as fast."
        )
    return "\n\n".join(parts)


def with_summary(text: str, rows: Sequence[Row], known: Mapping[str, Workload]) -> str:
    """A README's text with what stands between its markers made anew.

    Raises:
        ValueError: it does not have the two markers, once each, in their order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in after or END in before + after:
        raise ValueError(f"the README has to hold {BEGIN} and {END} once each, in this order.")
    return f"{before}{BEGIN}\n\n{summary(rows, known)}\n\n{END}{after}"


def complete(rows: Sequence[Row], known: Mapping[str, Workload]) -> bool:
    """Whether every comparison outside the grid is there: timed, or left out by a peer that is installed."""
    good = (row for row in rows if row["status"] == "timed" or (row["status"] == "skipped" and row["version"]))
    there = {(row["workload"], row["peer"]) for row in good}
    pairs = {(name, peer) for name, workload in known.items() if not workload.grid for peer in workload.beside}
    return pairs <= there and bool(timed_rows(rows))
