"""One task, in a process of its own: ours beside a peer, each in one more, or the first call of either.

A process a task, so that a crash costs one row, and a first call is a first call.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

import torch

from benchmarks import limits, peers, problem
from benchmarks.measuring import QUICK, Differs, Plan, check, deviations, first_call, in_turn, pause
from benchmarks.seat import Ended, Failed, Far, Seat, in_words
from benchmarks.seat import serve as serve_seat
from benchmarks.torch_runs import layer_of_ours
from benchmarks.workloads import Workload, all_workloads, quick

OURS = "ours"


def compare(workload: Workload, ours: Seat | Far, theirs: Seat | Far, plan: Plan) -> dict[str, Any]:
    """Ours beside a peer: the same results first, then errors, then times.

    Raises:
        Differs: they do not compute the same, so nothing was timed.
        Failed, Ended: as `Far` does.
    """
    numbers = problem.make(workload)
    found, peers_found = ours.results(), theirs.results()
    row = {"engine": ours.engine(), "peer_engine": theirs.engine()}
    row |= {"deviation": check(found, peers_found, workload.dtype, workload.grown)}
    exact = problem.truth(numbers)
    row |= {"error_ours": deviations(found, exact), "error_peer": deviations(peers_found, exact)}
    limit = limits.measure(workload.dtype)
    row |= {"load": os.getloadavg()[0], "limit_s": limit.least_s(numbers)}
    row |= {"limit_flops": limit.operations_per_s, "limit_bytes": limit.bytes_per_s}
    pause(plan)  # this process has threads as well
    ours_s, peer_s = in_turn([ours, theirs], plan)
    row |= {"ours_s": statistics.median(ours_s), "peer_s": statistics.median(peer_s), "turns": [ours_s, peer_s]}
    return row | {"ratio": row["peer_s"] / row["ours_s"]}


def first(workload: Workload, peer: ModuleType | None, threads: int) -> dict[str, float | None]:
    """The first call of ours (None) or of a peer."""
    numbers = problem.make(workload)
    return first_call(lambda: layer_of_ours(numbers) if peer is None else peer.prepare(numbers, threads))


def run(task: dict[str, Any], seats: Sequence[Connection]) -> dict[str, Any]:
    """What a task asks for; how it ended is its "status": timed, refused or failed.

    Args:
        task: what.
        seats: where ours and the peer are asked, for a task that compares.
    """
    workload, plan = _asked(task)
    try:
        if task["first"]:
            peer = None if task["peer"] == OURS else peers.load(task["peer"])
            return {"status": "timed", **first(workload, peer, task["threads"])}
        return {"status": "timed", **compare(workload, *map(Far, seats), plan)}
    except Differs as error:
        return {"status": "refused", "reason": str(error)}
    except Failed as error:
        return {"status": "failed", "reason": str(error)}
    except Ended:
        sys.exit(1)
    except Exception as error:
        # A peer may raise anything at all; the other rows go on.
        return {"status": "failed", "reason": in_words(error)}


def _asked(task: dict[str, Any]) -> tuple[Workload, Plan]:
    workload = all_workloads()[task["workload"]]
    return (quick(workload), QUICK) if task["quick"] else (workload, Plan())


def serve(task: dict[str, Any], caches: str, said: str, answer: Connection, seats: Sequence[Connection]) -> None:
    """Run a task in this process, which is to end afterwards.

    Args:
        task: as for `run`, with the number of threads.
        caches: a folder, the only one in which compiled code is found and left.
        said: a file for what would go to the terminal.
        answer: where the result goes.
        seats: as for `run`.
    """
    _settle(task, caches, said)
    answer.send(run(task, seats))


def sit(task: dict[str, Any], caches: str, said: str, who: str, pipe: Connection) -> None:
    """Be one of the two that a task compares, in this process.

    Args:
        task, caches, said: as for `serve`.
        who: OURS, or a peer's name.
        pipe: from where this is asked.
    """
    _settle(task, caches, said)
    workload, plan = _asked(task)

    def make() -> Seat:
        numbers = problem.make(workload)
        return Seat(layer_of_ours(numbers) if who == OURS else peers.load(who).prepare(numbers, task["threads"]), plan)

    serve_seat(make, pipe)


def _settle(task: dict[str, Any], caches: str, said: str) -> None:
    with open(said, "a") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.environ |= {"XDG_CACHE_HOME": caches, "TORCHINDUCTOR_CACHE_DIR": f"{caches}/inductor"}
    if hasattr(os, "sched_setaffinity"):
        # The one setting that every runtime's thread pool goes by.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: task["threads"]])
    torch.set_num_threads(task["threads"])
