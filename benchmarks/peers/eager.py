"""Our own eager engine: the cell's step on torch tensors, in a Python loop, differentiated by autograd."""

from __future__ import annotations

from dataclasses import replace

import headgate
from benchmarks.peers import Contender
from benchmarks.problem import Problem, layer
from benchmarks.torch_runs import layer_of_ours, request
from benchmarks.workloads import Workload
from headgate import engines

WORDS = "eager loop"
VERSION = headgate.__version__


def refusal(workload: Workload) -> str | None:
    """Why there would be nothing to compare, or None."""
    asked = request(workload, layer(workload))
    if engines.choose(asked) != "eager":
        return None
    return f"the compiled engine does not run this ({engines.refusal(engines.names()[0], asked)})"


def prepare(problem: Problem, threads: int) -> Contender:
    """The same layer, told to run eagerly."""
    return replace(layer_of_ours(problem, "eager"), engine="")
