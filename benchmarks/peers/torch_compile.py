"""torch.compile of a loop as one would write it by hand: the input's product for all steps at once, then step by step.

For the variants, which have nothing faster in torch. The compiler unrolls the loop, so compiling takes the longer the
more steps there are, a minute and more for a hundred; the first-call time says how long.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.peers import Contender
from benchmarks.problem import Problem
from benchmarks.torch_runs import contender
from benchmarks.workloads import OWN_CELL, STEP, Workload

WORDS = "torch.compile of a loop"
VERSION = torch.__version__

Weights = dict[str, Tensor]
States = tuple[Tensor, ...]


def peephole_lstm(part: Tensor, state: States, w: Weights) -> States:
    i, f, g, o = (part + functional.linear(state[0], w["weight_hh"], w["bias_hh"])).chunk(4, -1)
    p_i, p_f, p_o = w["weight_p"].chunk(3)
    c = torch.sigmoid(f + p_f * state[1]) * state[1] + torch.sigmoid(i + p_i * state[1]) * torch.tanh(g)
    return torch.sigmoid(o + p_o * c) * torch.tanh(c), c


def cifg_lstm(part: Tensor, state: States, w: Weights) -> States:
    i, g, o = (part + functional.linear(state[0], w["weight_hh"], w["bias_hh"])).chunk(3, -1)
    i = torch.sigmoid(i)
    c = (1.0 - i) * state[1] + i * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def reset_before_gru(part: Tensor, state: States, w: Weights) -> States:
    (h,) = state
    H = h.shape[-1]
    both = part[:, : 2 * H] + functional.linear(h, w["weight_hh"][: 2 * H], w["bias_hh"][: 2 * H])
    r, z = torch.sigmoid(both).chunk(2, -1)
    n = torch.tanh(part[:, 2 * H :] + functional.linear(r * h, w["weight_hh"][2 * H :], w["bias_hh"][2 * H :]))
    return (torch.lerp(n, h, z),)


def own_cell(part: Tensor, state: States, w: Weights) -> States:
    (h,) = state
    H = h.shape[-1]
    f = torch.sigmoid(part[:, :H] + functional.linear(h, w["weight_hh"][:H], w["bias_hh"][:H]))
    n = torch.tanh(part[:, H:] + functional.linear((1.0 - f) * h, w["weight_hh"][H:], w["bias_hh"][H:]))
    return (torch.lerp(n, h, f),)


# A step, and how many states it has.
STEPS: dict[str, tuple[Callable[[Tensor, States, Weights], States], int]] = {
    "peephole_lstm": (peephole_lstm, 2),
    "cifg_lstm": (cifg_lstm, 2),
    "reset_before_gru": (reset_before_gru, 1),
    OWN_CELL: (own_cell, 1),
}


def refusal(workload: Workload) -> str | None:
    """Why there is no loop for this, or None."""
    if workload.cell not in STEPS or workload.options or workload.lengths or workload.mode == STEP:
        return "no loop was written by hand for this"
    return None


def loop(problem: Problem) -> Callable[[Tensor, Weights], Tensor]:
    """The loop over steps, not compiled."""
    step, states = STEPS[problem.workload.cell]

    def run(x: Tensor, w: Weights) -> Tensor:
        state = (x.new_zeros(x.shape[1], w["weight_hh"].shape[1]),) * states
        outputs = []
        for part in functional.linear(x, w["weight_ih"], w["bias_ih"]).unbind(0):
            state = step(part, state, w)
            outputs.append(state[0])
        return torch.stack(outputs)

    return run


def prepare(problem: Problem, threads: int) -> Contender:
    """The loop with the problem's weights; it is compiled by its first call."""
    trains = problem.workload.trains
    weights = {name: value.clone().requires_grad_(trains) for name, value in problem.weights.items()}
    compiled = torch.compile(loop(problem), dynamic=False)
    return contender(lambda x: compiled(x, weights), problem, weights if trains else {})
