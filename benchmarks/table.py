"""The table, in Markdown: what was measured, beside its goal; losses as losses; what was left out, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.results import Row
from benchmarks.workloads import BOTH, FORWARD, GRID_B, GRID_H, Workload

COLUMNS = (
    "workload",
    "peer",
    "ours, ms",
    "peer, ms",
    "times as fast",
    "goal",
    "of the limit",
    "error, ours",
    "error, peer",
    "first call, s: ours / peer",
    "peak memory, MB: ours / peer",
)
# float32, beside torch.nn: how many times its error ours may be.
ACCURACY = 4.0
MEGA, GIGA = 1e6, 1e9


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


def timed_rows(rows: Iterable[Row]) -> list[Row]:
    """Those with a time."""
    return [row for row in rows if row["status"] == "timed"]


def table(rows: Sequence[Row], known: Mapping[str, Workload]) -> str:
    """The file's text: a head, the table, the grid, what was left out, and what the columns mean."""
    single = [row for row in rows if not known[row["workload"]].grid]
    parts = [head(rows, known), markdown(COLUMNS, [_cells(row, known[row["workload"]]) for row in single])]
    parts += [_grid(timed_rows(rows), known, mode) for mode in (FORWARD, BOTH)]
    parts += [_left_out(rows, known), _footnotes(timed_rows(rows))]
    return "\n\n".join(part for part in parts if part) + "\n"


def head(rows: Sequence[Row], known: Mapping[str, Workload]) -> str:
    """Where, with what, and how it went."""
    timed = timed_rows(rows)
    if not timed:
        return "Nothing was measured."
    any_row = timed[0]
    versions = sorted({f"{row['words']} {row['version']}" for row in timed})
    loads = [row["load"] for row in timed]
    losses = sum(row["ratio"] < 1 for row in timed)
    lines = [
        f"{conditions(timed)}; code {any_row['code']}; load {min(loads):.2f} to {max(loads):.2f}. "
        f"Peers: {', '.join(versions)}.",
        f"{len(timed)} comparisons: {len(timed) - losses} wins, {losses} losses.",
    ]
    shares = [share for row in timed if (share := error_share(row, known[row["workload"]])) is not None]
    if shares:
        good = sum(share <= ACCURACY for share in shares)
        lines[1] += (
            f" float32 errors within {ACCURACY:g} times torch.nn's: {good} of {len(shares)} "
            f"(at most {max(shares):.1f} times)."
        )
    if any_row["quick"]:
        lines.insert(0, "**A quick run: few steps, few repeats. It shows that everything runs, not how fast.**")
    return "\n\n".join(lines)


def conditions(timed: Sequence[Row]) -> str:
    """The machine, the threads, torch and the dates of some rows of one run."""
    row = timed[0]
    dates = sorted({row["when"] for row in timed})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return f"{row['machine']}; {row['threads']} threads; torch {row['torch']}; {when}"


def error_share(row: Row, workload: Workload) -> float | None:
    """Our error as a share of torch.nn's, for the result where that is largest; None beside anything else than that."""
    if row["status"] != "timed" or row["peer"] != "torch_nn" or workload.dtype != "float32":
        return None
    # An error below one rounding of the largest entry is none.
    return max(row["error_ours"][name] / max(error, 2**-24) for name, error in row["error_peer"].items())


def _cells(row: Row, workload: Workload) -> list[str]:
    if row["status"] != "timed":
        return [workload.words, peer_words(row), "", "", f"{row['status']}: {row['reason']}", *[""] * 6]
    share = error_share(row, workload)
    inaccurate = f", {share:.1f} times torch's" if share is not None and share > ACCURACY else ""
    return [
        workload.words,
        peer_words(row),
        f"{row['ours_s'] * 1e3:.2f}" + ("" if row["engine"] == "cpu" else f" ({row['engine']})"),
        f"{row['peer_s'] * 1e3:.2f}",
        ratio_words(row["ratio"]),
        goal_words(row, workload),
        f"{100 * row['limit_s'] / row['ours_s']:.0f} %",
        _largest(row["error_ours"]) + inaccurate,
        _largest(row["error_peer"]),
        _pair(row["first_s_ours"], row["first_s_peer"], 1.0, ".2f"),
        _pair(row["memory_bytes_ours"], row["memory_bytes_peer"], MEGA, ".1f"),
    ]


def goal_words(row: Row, workload: Workload) -> str:
    """What the ratio has to be at least, whether it is, and what it is meant to be; empty without a goal."""
    goal = workload.beside[row["peer"]]
    if goal is None:
        return ""
    return f"{goal.least:g}, {'held' if row['ratio'] >= goal.least else 'missed'}; aim {goal.aim:g}"


def _largest(errors: Mapping[str, float]) -> str:
    name = max(errors, key=lambda name: errors[name])
    return f"{errors[name]:.1e} ({name})"


def _pair(ours: float | None, peer: float | None, unit: float, form: str) -> str:
    return " / ".join("unknown" if value is None else format(value / unit, form) for value in (ours, peer))


def best_peers(timed: Iterable[Row]) -> dict[str, Row]:
    """For each workload, the row of the fastest peer: the one that makes ours look worst."""
    found: dict[str, Row] = {}
    for row in timed:
        name = row["workload"]
        if name not in found or row["ratio"] < found[name]["ratio"]:
            found[name] = row
    return found


def grid_places(timed: Iterable[Row], known: Mapping[str, Workload], mode: str) -> dict[tuple[int, int], Row]:
    """The row of the fastest peer at each (H, B) of the grid."""
    pairs = ((known[name], row) for name, row in best_peers(timed).items())
    return {(workload.H, workload.B): row for workload, row in pairs if workload.grid and workload.mode == mode}


def _grid(timed: Sequence[Row], known: Mapping[str, Workload], mode: str) -> str:
    best = grid_places(timed, known, mode)
    if not best:
        return ""
    words = "forward" if mode == FORWARD else "forward + backward"
    lines = []
    for H in GRID_H:
        places = [best.get((H, B)) for B in GRID_B]
        filled = ["" if r is None else f"{ratio_words(r['ratio'])}, {peer_words(r)}" for r in places]
        lines.append([f"H={H}", *filled])
    headings = [f"LSTM fp32 {words}: times as fast as the fastest peer", *(f"B={B}" for B in GRID_B)]
    return markdown(headings, lines)


def _left_out(rows: Sequence[Row], known: Mapping[str, Workload]) -> str:
    """The grid's rows without a time, by reason; the table has the others."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row["status"] != "timed" and known[row["workload"]].grid:
            found.setdefault(f"{peer_words(row)}, {row['status']}: {row['reason']}", []).append(row["workload"])
    lines = [f"- {reason} ({', '.join(names)})" for reason, names in found.items()]
    return "\n".join(["Left out of the grid:", "", *lines]) if lines else ""


def _footnotes(timed: Sequence[Row]) -> str:
    if not timed:
        return ""
    flops = sorted(row["limit_flops"] / GIGA for row in timed)
    rates = sorted(row["limit_bytes"] / GIGA for row in timed)
    lines = [
        "times: medians of calls made in turn, each contender in a process of its own, after warm-up; nothing is timed "
        "before the results were found equal. I = H where nothing else is said, one layer, one direction.",
        "times as fast: the peer's time divided by ours. The goal is the least it has to be beside that peer.",
        "of the limit: the share of our time that the products alone would take at the speed of torch.mm of large "
        f"squares ({flops[0]:.0f} to {flops[-1]:.0f} GFLOP/s, measured for each row), or that reading and "
        f"writing weights, input, output and gradients once would take ({rates[0]:.1f} to {rates[-1]:.1f} GB/s), "
        "whichever is longer. With few rows nothing comes near it: each step waits for the one before, and reads all "
        "weights anew; float32 by tiles can be beyond it, since torch.mm multiplies without them.",
        "error: the largest deviation from the eager engine in float64, relative to the largest entry, of the output "
        "and of every gradient (d_...); the one that deviates most is named. For bf16 it is mostly bf16's rounding.",
        "first call: seconds from weights to the first result in a fresh process without caches, compiling included, "
        "importing not.",
        "peak memory: what the layer, its packed weights and a call take of resident memory at most; ours and the peer "
        "in processes of their own.",
    ]
    return "\n".join(f"- **{name}**:{text}" for name, _, text in (line.partition(":") for line in lines))


def markdown(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table; empty without lines."""
    if not lines:
        return ""
    written = [headings, ["---"] * len(headings), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in written)
