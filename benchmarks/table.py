"""The table, in Markdown: what was measured, beside its goal; losses as losses; what was left out, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.results import Row
from benchmarks.workloads import BOTH, FORWARD, GRID_B, GRID_H, Workload

COLUMNS = (
    "workload",
    "beside",
    "engine",
    "ours, ms",
    "peer, ms",
    "peer / ours",
    "goal",
    "of the limit",
    "error, ours",
    "error, peer",
    "first call, ours and peer, s",
    "peak memory, ours and peer, MB",
)
MEGA = 1e6


def peer_words(row: Row) -> str:
    """A peer, and how it ran this."""
    return ", ".join(word for word in (row["words"], row.get("peer_engine")) if word)


def ratio_words(ratio: float) -> str:
    """A ratio; one below 1 is called what it is."""
    return f"{ratio:.2f}" + (" (loss)" if ratio < 1 else "")


def one_line(workload: Workload, row: Row) -> str:
    """A row as it is done."""
    who = f"{workload.words} beside {peer_words(row)}"
    if row["status"] != "timed":
        return f"{who}: {row['status']}, {row['reason']}"
    return f"{who}: {row['ours_s'] * 1e3:.2f} and {row['peer_s'] * 1e3:.2f} ms, {ratio_words(row['ratio'])}"


def table(rows: Sequence[Row], known: Mapping[str, Workload]) -> str:
    """The file's text: a head, the table, the grid, and what was left out."""
    timed = [row for row in rows if row["status"] == "timed"]
    single = [row for row in timed if not known[row["workload"]].grid]
    parts = [head(rows), _markdown(COLUMNS, [_cells(row, known[row["workload"]]) for row in single])]
    parts += [part for mode in (FORWARD, BOTH) if (part := _grid(timed, known, mode))]
    parts += [_left_out(rows, known)]
    return "\n\n".join(part for part in parts if part) + "\n"


def head(rows: Sequence[Row]) -> str:
    """Where, with what, and how it went."""
    timed = [row for row in rows if row["status"] == "timed"]
    if not timed:
        return "Nothing was measured."
    any_row = timed[0]
    versions = sorted({f"{row['words']} {row['version']}" for row in timed})
    loads = [row["load"] for row in timed]
    losses = sum(row["ratio"] < 1 for row in timed)
    lines = [
        f"{any_row['machine']}; {any_row['threads']} threads; torch {any_row['torch']}; code {any_row['code']}; "
        f"{min(row['when'] for row in timed)} to {max(row['when'] for row in timed)}; load {min(loads):.2f} to "
        f"{max(loads):.2f}. Peers: {', '.join(versions)}.",
        f"{len(timed)} comparisons: {len(timed) - losses} wins, {losses} losses.",
    ]
    if any_row["quick"]:
        lines.insert(0, "**A quick run: few steps, few repeats. It shows that everything runs, not how fast.**")
    return "\n\n".join(lines)


def _cells(row: Row, workload: Workload) -> list[str]:
    goal = workload.beside[row["peer"]]
    reached = "" if goal is None else f"{goal.least:g}, aim {goal.aim:g}"
    if goal is not None and row["ratio"] < goal.least:
        reached += " (missed)"
    return [
        workload.words,
        peer_words(row),
        row["engine"],
        f"{row['ours_s'] * 1e3:.2f}",
        f"{row['peer_s'] * 1e3:.2f}",
        ratio_words(row["ratio"]),
        reached,
        f"{100 * row['limit_s'] / row['ours_s']:.0f} %",
        _largest(row["error_ours"]),
        _largest(row["error_peer"]),
        _pair(row["first_s_ours"], row["first_s_peer"], 1.0, ".2f"),
        _pair(row["memory_bytes_ours"], row["memory_bytes_peer"], MEGA, ".1f"),
    ]


def _largest(errors: Mapping[str, float]) -> str:
    name = max(errors, key=lambda name: errors[name])
    return f"{errors[name]:.0e} ({name})"


def _pair(ours: float | None, peer: float | None, unit: float, form: str) -> str:
    return " / ".join("unknown" if value is None else format(value / unit, form) for value in (ours, peer))


def best_peers(timed: Iterable[Row], known: Mapping[str, Workload], mode: str) -> dict[tuple[int, int], Row]:
    """At each place of the grid, the row of the fastest peer: the one that makes ours look worst."""
    found: dict[tuple[int, int], Row] = {}
    for row in timed:
        workload = known[row["workload"]]
        place = workload.H, workload.B
        if workload.grid and workload.mode == mode and (place not in found or row["ratio"] < found[place]["ratio"]):
            found[place] = row
    return found


def _grid(timed: Sequence[Row], known: Mapping[str, Workload], mode: str) -> str:
    best = best_peers(timed, known, mode)
    if not best:
        return ""
    words = "forward" if mode == FORWARD else "forward + backward"
    lines = []
    for H in GRID_H:
        places = [best.get((H, B)) for B in GRID_B]
        filled = ["" if r is None else f"{ratio_words(r['ratio'])}, {peer_words(r)}" for r in places]
        lines.append([f"H={H}", *filled])
    headings = [f"LSTM fp32 {words}, best peer / ours", *(f"B={B}" for B in GRID_B)]
    return _markdown(headings, lines)


def _left_out(rows: Sequence[Row], known: Mapping[str, Workload]) -> str:
    kinds = {
        "refused": "Not timed, because the results differ:",
        "failed": "Failed:",
        "skipped": "Skipped:",
    }
    parts = []
    for status, words in kinds.items():
        found = [row for row in rows if row["status"] == status]
        lines = [f"- {known[row['workload']].words}, {peer_words(row)}: {row['reason']}" for row in found]
        parts += ["\n".join([words, "", *lines])] if lines else []
    return "\n\n".join(parts)


def _markdown(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    if not lines:
        return ""
    written = [headings, ["---"] * len(headings), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in written)
