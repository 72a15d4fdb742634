"""Running something that is made of torch: ours, and the peers that live in torch too."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

import headgate as hg
from benchmarks.peers import Contender
from benchmarks.problem import Problem, layer, with_weights
from benchmarks.workloads import STEP, Workload
from headgate import engines
from headgate.engines import Request


def contender(
    call: Callable[[Tensor], Tensor], problem: Problem, parameters: Mapping[str, Tensor], engine: str = ""
) -> Contender:
    """What runs `call` over the problem's input, and differentiates it if the workload trains.

    Args:
        call: the output [T, B, H] from the input.
        problem: the numbers.
        parameters: leaves to differentiate by, under the problem's names.
        engine: what runs, in a word.
    """
    workload = problem.workload
    x = problem.x.clone().requires_grad_(workload.trains)
    leaves, names = [x, *parameters.values()], ["output", "d_x", *(f"d_{name}" for name in parameters)]
    autocast = workload.dtype == "bfloat16"

    def run() -> list[Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast), torch.set_grad_enabled(workload.trains):
            output = call(x)
        if not workload.trains:
            return [output]
        return [output.detach(), *torch.autograd.grad(output, leaves, problem.upstream.to(output.dtype))]

    def named(results: list[Tensor]) -> dict:
        return {name: value.float().numpy() for name, value in zip(names, results, strict=False)}

    return Contender(run, named, engine)


def request(workload: Workload, ours: hg.Recurrent) -> Request:
    """What the workload asks of an engine."""
    return Request(
        ours.cell,
        ours.weight_ih_l0.device,
        getattr(torch, workload.dtype),
        lengths=workload.lengths,
        masks=ours.draws_masks,
    )


def layer_of_ours(problem: Problem, engine: str | None = None) -> Contender:
    """Our layer, by the engine that headgate chooses or by a certain one."""
    workload = problem.workload
    ours = with_weights(layer(workload, engine=engine), problem.weights)
    parameters = ours.weights(0) if workload.trains else {}

    def over_sequence(x: Tensor) -> Tensor:
        return ours(x, lengths=problem.lengths)[0]

    def step_by_step(x: Tensor) -> Tensor:
        state, outputs = None, []
        for row in x:
            output, state = ours.step(row, state)
            outputs.append(output)
        return torch.stack(outputs)

    call = step_by_step if workload.mode == STEP else over_sequence
    return contender(call, problem, parameters, engines.choose(request(workload, ours), engine))
