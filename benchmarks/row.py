"""One task, in a process of its own: ours beside a peer, or the first call of either.

A process a task, so that runtimes do not share thread pools, a crash costs one row, and a first call is a first call.
"""

from __future__ import annotations

import os
import statistics
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

import torch

from benchmarks import limits, peers, problem
from benchmarks.measuring import QUICK, Differs, Plan, check, deviations, first_call, in_turn, results
from benchmarks.torch_runs import layer_of_ours
from benchmarks.workloads import Workload, all_workloads, quick

OURS = "ours"


def compare(workload: Workload, peer: ModuleType, threads: int, plan: Plan) -> dict[str, Any]:
    """Ours beside a peer: the same results first, then errors, then times.

    Raises:
        Differs: they do not compute the same, so nothing was timed.
    """
    numbers = problem.make(workload)
    ours, theirs = layer_of_ours(numbers), peer.prepare(numbers, threads)
    found, peers_found = results(ours), results(theirs)
    row = {"engine": ours.engine, "peer_engine": theirs.engine}
    row |= {"deviation": check(found, peers_found, workload.dtype, workload.grown)}
    exact = problem.truth(numbers)
    row |= {"error_ours": deviations(found, exact), "error_peer": deviations(peers_found, exact)}
    limit = limits.measure(workload.dtype)
    row |= {"load": os.getloadavg()[0], "limit_s": limit.least_s(numbers)}
    row |= {"limit_flops": limit.operations_per_s, "limit_bytes": limit.bytes_per_s}
    ours_s, peer_s = in_turn([ours, theirs], plan)
    row |= {"ours_s": statistics.median(ours_s), "peer_s": statistics.median(peer_s), "turns": [ours_s, peer_s]}
    return row | {"ratio": row["peer_s"] / row["ours_s"]}


def first(workload: Workload, peer: ModuleType | None, threads: int) -> dict[str, float | None]:
    """The first call of ours (None) or of a peer."""
    numbers = problem.make(workload)
    return first_call(lambda: layer_of_ours(numbers) if peer is None else peer.prepare(numbers, threads))


def run(task: dict[str, Any]) -> dict[str, Any]:
    """What a task asks for; how it ended is its "status": timed, refused or failed."""
    workload = all_workloads()[task["workload"]]
    workload = quick(workload) if task["quick"] else workload
    try:
        peer = None if task["peer"] == OURS else peers.load(task["peer"])
        if task["first"]:
            return {"status": "timed", **first(workload, peer, task["threads"])}
        plan = QUICK if task["quick"] else Plan()
        return {"status": "timed", **compare(workload, peer, task["threads"], plan)}
    except Differs as error:
        return {"status": "refused", "reason": str(error)}
    except Exception as error:
        # A peer may raise anything at all; the other rows go on.
        return {"status": "failed", "reason": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"}


def serve(task: dict[str, Any], caches: str, said: str, answer: Connection) -> None:
    """Run a task in this process, which is to end afterwards.

    Args:
        task: as for `run`, with the number of threads.
        caches: a folder, the only one in which compiled code is found and left.
        said: a file for what would go to the terminal.
        answer: where the result goes.
    """
    with open(said, "w") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.environ |= {"XDG_CACHE_HOME": caches, "TORCHINDUCTOR_CACHE_DIR": f"{caches}/inductor"}
    if hasattr(os, "sched_setaffinity"):
        # The one setting that every runtime's thread pool goes by.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: task["threads"]])
    torch.set_num_threads(task["threads"])
    answer.send(run(task))
