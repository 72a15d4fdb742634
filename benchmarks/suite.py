"""Runs rows one after the other, keeps each, and writes the table and the figure anew after every one."""

from __future__ import annotations

import fnmatch
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.figure import figure
from benchmarks.problem import ROOT
from benchmarks.results import Kept, Row
from benchmarks.row import OURS
from benchmarks.table import one_line, table
from benchmarks.workloads import Workload, all_workloads, quick

TABLE, FIGURE = "table.md", "bench.svg"
LONGEST_S = 1800.0
BUSY = 0.5
Say = Callable[[str], None]


class Unknown(Exception):
    """A name that is none; the message says so."""


def chosen(workloads: Sequence[str], peer_names: Sequence[str]) -> list[tuple[Workload, str]]:
    """The rows asked for, in the order of workloads.py.

    Args:
        workloads: names, or patterns such as 'grid-*'; none for all.
        peer_names: none for all.

    Raises:
        Unknown: a name or pattern that fits nothing.
    """
    known = all_workloads()
    for pattern in workloads:
        if not fnmatch.filter(known, pattern):
            raise Unknown(f"no workload named {pattern!r}; `headgate bench --list` shows them.")
    for name in peer_names:
        if name not in peers.names():
            raise Unknown(f"no peer named {name!r}; known: {', '.join(peers.names())}.")
    pairs = [
        (workload, peer)
        for workload in known.values()
        if not workloads or any(fnmatch.fnmatch(workload.name, pattern) for pattern in workloads)
        for peer in workload.beside
        if not peer_names or peer in peer_names
    ]
    if not pairs:
        named = ", ".join(peer_names)
        raise Unknown(f"none of these workloads is run beside {named}; `headgate bench --list` shows them.")
    return pairs


def run_all(
    pairs: Sequence[tuple[Workload, str]], kept: Kept, say: Say, figures: Sequence[Path], execute: Any = None
) -> list[Row]:
    """Run the rows that are not there yet; returns all of `pairs`' rows.

    Args:
        pairs: workloads and peers.
        kept: where rows go.
        say: told each row as it is done.
        figures: further places for the figure.
        execute: runs one task in a process of its own; replaced in tests.
    """
    execute = execute or in_process
    own_first: dict[str, Row] = {}
    known = shown(kept)
    for number, (workload, peer) in enumerate(pairs, 1):
        words, version = _about(peer)
        if not kept.done(workload.name, peer, version):
            row = _row(workload, peer, kept.current, own_first, execute)
            kept.add({"workload": workload.name, "peer": peer, "words": words, "version": version, **row})
            write(kept, figures)
        row = next(r for r in kept.rows([workload.name]) if r["peer"] == peer)
        say(f"{number} of {len(pairs)}: {one_line(known[workload.name], row)}")
    write(kept, figures)
    asked = {(workload.name, peer) for workload, peer in pairs}
    return [row for row in kept.rows(all_workloads()) if (row["workload"], row["peer"]) in asked]


def write(kept: Kept, figures: Sequence[Path] = ()) -> None:
    """The table and the figure of all rows that are there."""
    known = shown(kept)
    rows = kept.rows(known)
    _replace(kept.path.parent / TABLE, table(rows, known))
    for place in (kept.path.parent / FIGURE, *figures):
        _replace(place, figure(rows, known))


def shown(kept: Kept) -> dict[str, Workload]:
    """The workloads as they were run."""
    return {name: quick(work) if kept.current["quick"] else work for name, work in all_workloads().items()}


def _replace(path: Path, text: str) -> None:
    """In one go, so that whoever stops the run finds the old file or the new one."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8", newline="\n")
    new.replace(path)


def _about(peer: str) -> tuple[str, str]:
    """A peer's words and version."""
    try:
        module = peers.load(peer)
        return module.WORDS, module.VERSION
    except peers.Missing:
        return peer.removesuffix("_peer"), "not installed"


def _row(workload: Workload, peer: str, current: Row, own_first: dict[str, Row], execute: Any) -> Row:
    """First calls in fresh processes with empty caches, then both in turn in one, with those caches filled.

    The grid does without the first calls: there they would be those of the same layer a hundred times over.
    """
    today = {"when": time.strftime("%Y-%m-%d", time.gmtime())}
    task = {"workload": workload.name, "peer": peer, "threads": current["threads"], "quick": current["quick"]}
    with tempfile.TemporaryDirectory(prefix="headgate-bench-") as caches:
        if workload.grid:
            return {**execute({**task, "first": False}, caches), **today}
        first = execute({**task, "first": True}, caches)
        if first["status"] != "timed":
            return first | today
        if workload.name not in own_first:
            own_first[workload.name] = execute({**task, "peer": OURS, "first": True}, caches)
        row = execute({**task, "first": False}, caches)
    for who, measured in (("ours", own_first[workload.name]), ("peer", first)):
        row |= {f"{name}_{who}": measured.get(name) for name in ("first_s", "memory_bytes")}
    return row | today


def in_process(task: Row, caches: str) -> Row:
    """One task in a process of its own, which finds nothing compiled but what is in the folder `caches`."""
    threads = str(task["threads"])
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    environment |= {"XDG_CACHE_HOME": caches, "TORCHINDUCTOR_CACHE_DIR": f"{caches}/inductor"}
    with tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder:
        asked, answered = Path(folder, "task.json"), Path(folder, "result.json")
        asked.write_text(json.dumps(task))
        command = [sys.executable, "-m", "benchmarks.row", str(asked), str(answered)]
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LONGEST_S, check=False
            )
        except subprocess.TimeoutExpired:
            return {"status": "failed", "reason": f"took more than {LONGEST_S / 60:.0f} minutes"}
        if not answered.is_file():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            return {"status": "failed", "reason": f"its process ended with {done.returncode}: {last}"}
        return json.loads(answered.read_text())


def busy(cores: int) -> str | None:
    """A warning where something else is running, or None."""
    load = os.getloadavg()[0]
    if load <= BUSY * cores:
        return None
    return f"the load is {load:.2f}: something else is running, and the figures will show it"


def listing() -> Iterator[str]:
    """Each workload with its peers and its reason."""
    for workload in all_workloads().values():
        yield f"{workload.name}: {workload.words}; beside {', '.join(workload.beside)}; {workload.reason}."
