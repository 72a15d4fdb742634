"""Runs rows one after the other, keeps each, and writes the table and the figure anew after every one."""

from __future__ import annotations

import fnmatch
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from multiprocessing.process import BaseProcess
from pathlib import Path

from benchmarks import peers
from benchmarks.figure import figure
from benchmarks.results import Kept, Row
from benchmarks.row import OURS, serve, sit
from benchmarks.table import one_line, table
from benchmarks.workloads import Workload, all_workloads, quick

TABLE, FIGURE = "table.md", "bench.svg"
LONGEST_S = 1800.0
BUSY = 0.5
# Forked from a process that has imported torch and done nothing else: importing takes longer than most tasks.
PROCESSES = multiprocessing.get_context("forkserver")
Pair = tuple[Workload, str]
Say = Callable[[str], None]
Execute = Callable[[Row, str], Row]


class Unknown(Exception):
    """A name that is none; the message says so."""


def chosen(workload_patterns: Sequence[str], peer_patterns: Sequence[str]) -> list[Pair]:
    """The rows asked for, in the order of workloads.py.

    Args:
        workload_patterns: names of workloads, or patterns such as 'gru-*'; with '!' before it, all that it does not
            fit. None for all.
        peer_patterns: the same for peers.

    Raises:
        Unknown: a name or pattern that fits nothing.
    """
    known = all_workloads()
    names = _fitting(workload_patterns, list(known), "workload", "`headgate bench --list` shows them")
    wanted = _fitting(peer_patterns, peers.names(), "peer", f"known: {', '.join(peers.names())}")
    pairs = [(work, peer) for work in known.values() if work.name in names for peer in work.beside if peer in wanted]
    if not pairs:
        among = " or ".join(sorted(wanted))
        raise Unknown(f"none of these workloads is run beside {among}; `headgate bench --list` shows them.")
    return pairs


def _fitting(patterns: Sequence[str], known: Sequence[str], what: str, hint: str) -> set[str]:
    found: set[str] = set()
    for pattern in patterns or ["*"]:
        fitting = set(fnmatch.filter(known, pattern.removeprefix("!")))
        if not fitting:
            raise Unknown(f"no {what} named {pattern!r}; {hint}.")
        found |= set(known) - fitting if pattern.startswith("!") else fitting
    return found


def run_all(pairs: Sequence[Pair], kept: Kept, say: Say, execute: Execute | None = None) -> list[Row]:
    """Run the rows that are not there yet; returns all of `pairs`' rows.

    Args:
        pairs: workloads and peers.
        kept: where rows go.
        say: told each row as it is done.
        execute: runs one task, given a folder for compiled code; None for a process of its own.
    """
    execute = execute or in_process
    own_first: dict[str, Row] = {}
    known = workloads_of(kept)
    for number, (workload, peer) in enumerate(pairs, 1):
        row = _head(known[workload.name], peer)
        if not kept.done(workload.name, peer, row["version"]):
            if "status" not in row:
                row |= _measured(workload, peer, kept.current, own_first, execute)
            kept.add({**row, "when": time.strftime("%Y-%m-%d", time.gmtime())})
            write(kept)
        say(f"{number} of {len(pairs)}: {one_line(known[workload.name], kept.row(workload.name, peer))}")
    write(kept)
    return [kept.row(workload.name, peer) for workload, peer in pairs]


def write(kept: Kept) -> None:
    """The table and the figure of all rows that there are."""
    rows, known = kept.rows(all_workloads()), workloads_of(kept)
    replace(kept.folder / TABLE, table(rows, known))
    replace(kept.folder / FIGURE, figure(rows, known))


def replace(path: Path, text: str) -> None:
    """Write a file in one go, so that whoever stops the run finds the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8", newline="\n")
    new.replace(path)


def workloads_of(kept: Kept) -> dict[str, Workload]:
    """All workloads as they are run there."""
    return {name: quick(work) if kept.current["quick"] else work for name, work in all_workloads().items()}


def _head(workload: Workload, peer: str) -> Row:
    """Which row it is; and, where it cannot be run, why."""
    row = {"workload": workload.name, "peer": peer}
    try:
        module = peers.load(peer)
    except peers.Missing as error:
        return {**row, "words": peer, "version": "", "status": "skipped", "reason": str(error)}
    row |= {"words": module.WORDS, "version": module.VERSION}
    reason = module.refusal(workload)
    return row if reason is None else {**row, "status": "skipped", "reason": reason}


def _measured(workload: Workload, peer: str, current: Row, own_first: dict[str, Row], execute: Execute) -> Row:
    """First calls in fresh processes with empty caches, then both in turn, with those caches filled.

    The grid does without the first calls: there they would be those of the same layer a hundred times over.
    """
    task = {"workload": workload.name, "peer": peer, "threads": current["threads"], "quick": current["quick"]}
    with tempfile.TemporaryDirectory(prefix="headgate-bench-", ignore_cleanup_errors=True) as caches:
        if workload.grid:
            return execute({**task, "first": False}, caches)
        first = execute({**task, "first": True}, caches)
        if first["status"] != "timed":
            return first
        if workload.name not in own_first:
            own_first[workload.name] = execute({**task, "peer": OURS, "first": True}, caches)
        row = execute({**task, "first": False}, caches)
    for who, measured in (("ours", own_first[workload.name]), ("peer", first)):
        row |= {f"{name}_{who}": measured.get(name) for name in ("first_s", "memory_bytes")}
    return row


def in_process(task: Row, caches: str) -> Row:
    """One task in a process of its own, which finds nothing compiled but what is in the folder `caches`.

    What it compares sits in two more, started from here, so that they end with the task however that ends.
    """
    PROCESSES.set_forkserver_preload([serve.__module__])
    with ExitStack() as stack:
        said = stack.enter_context(tempfile.NamedTemporaryFile(prefix="headgate-bench-", suffix=".txt"))
        pipes = [PROCESSES.Pipe() for _ in ("answer", OURS, task["peer"])]
        ends = [stack.enter_context(end) for pipe in pipes for end in pipe]
        (receive, send), *between = pipes
        seats = [] if task["first"] else list(zip((OURS, task["peer"]), between, strict=True))
        shared = task, caches, said.name
        sitting = [PROCESSES.Process(target=sit, args=(*shared, who, theirs)) for who, (_, theirs) in seats]
        asking = PROCESSES.Process(target=serve, args=(*shared, send, [mine for _, (mine, _) in seats]))
        started = [*sitting, asking]
        for process in started:
            process.start()
            stack.callback(_end, process)
        # Each end is now held by the one process whose it is: when that ends, so does its pipe.
        for end in ends[1:]:
            end.close()
        try:
            if not receive.poll(LONGEST_S):
                return {"status": "failed", "reason": f"took more than {LONGEST_S / 60:.0f} minutes"}
            return receive.recv()
        except EOFError:
            asking.join()
            codes = [process.exitcode for process in started if process.exitcode]
            last = (said.read().decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            return {"status": "failed", "reason": f"its process ended with {codes[0]}: {last}"}


def _end(process: BaseProcess) -> None:
    process.kill()
    process.join()


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
