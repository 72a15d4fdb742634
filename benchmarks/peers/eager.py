"""Our own eager engine: the cell's step on torch tensors, in a Python loop, differentiated by autograd."""

from __future__ import annotations

from dataclasses import replace

import headgate
from benchmarks.peers import Contender
from benchmarks.problem import Problem
from benchmarks.torch_runs import layer_of_ours
from benchmarks.workloads import Workload

WORDS = "eager loop"
VERSION = headgate.__version__


def refusal(workload: Workload) -> str | None:
    """Nothing is refused."""
    return None


def prepare(problem: Problem, threads: int) -> Contender:
    """The same layer, told to run eagerly."""
    return replace(layer_of_ours(problem, "eager"), engine="")
