"""How the tests run an engine: on a reference's case, with the result in the reference's names and dtype."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from headgate import engines
from headgate.engines import Call
from headgate.reference import Case


def call_of(case: Case, dtype: torch.dtype, device: str = "cpu") -> Call:
    """A case as a call whose input, weights and initial states all want gradients."""

    def tensor(value: np.ndarray) -> torch.Tensor:
        return torch.tensor(value, dtype=dtype, device=device, requires_grad=True)

    return Call(
        case.cell,
        {name: tensor(value) for name, value in case.weights.items()},
        tensor(case.input),
        tuple(map(tensor, case.initial.values())),
        None if case.lengths is None else torch.tensor(case.lengths, device=device),
        None if case.reset is None else torch.tensor(case.reset, device=device),
        case.reverse,
        seed=None if case.mask_seed is None else torch.tensor([case.mask_seed], dtype=torch.uint64).view(torch.int64),
    )


def variables_of(call: Call) -> dict[str, torch.Tensor]:
    """The call's tensors by the names of `Case.variables`."""
    initial = {f"initial_{name}": value for name, value in zip(call.cell.state_names, call.initial, strict=True)}
    return {"input": call.input, **call.weights, **initial}


def with_variables(call: Call, variables: dict[str, torch.Tensor]) -> Call:
    initial = tuple(variables[f"initial_{name}"] for name in call.cell.state_names)
    weights = {name: variables[name] for name in call.weights}
    return replace(call, input=variables["input"], weights=weights, initial=initial)


def values_of(call: Call, engine: str) -> dict[str, torch.Tensor]:
    """The differentiable results of a call: the output and the final states by name."""
    result = engines.engine_named(engine).forward(call)
    return {"output": result.output} | {
        f"final_{name}": value for name, value in zip(call.cell.state_names, result.final, strict=True)
    }


def value_and_gradients(case: Case, engine: str, dtype: torch.dtype, device: str = "cpu") -> dict[str, np.ndarray]:
    """What an engine makes of a case, in the names of `reference.value_and_gradients`.

    A variable that the results do not depend on is an error.
    """
    call = call_of(case, dtype, device)
    return with_gradients(case, values_of(call, engine), variables_of(call))


def with_gradients(case: Case, values: dict[str, torch.Tensor], variables: dict[str, torch.Tensor]) -> dict:
    """Values and, as `d_<variable>`, the gradients of the case's loss on them: float64 arrays."""
    cotangents = [torch.tensor(case.cotangents[name]).to(value) for name, value in values.items()]
    gradients = torch.autograd.grad(list(values.values()), list(variables.values()), cotangents)
    found = values | {f"d_{name}": value for name, value in zip(variables, gradients, strict=True)}
    return {name: value.detach().cpu().double().numpy() for name, value in found.items()}


def scattered(value: torch.Tensor) -> torch.Tensor:
    """The same numbers, but neither next to each other nor in order."""
    apart = torch.full((*reversed(value.shape), 2), float("nan"), dtype=value.dtype)
    view = apart[..., 0].permute(*reversed(range(value.dim())))
    return view.copy_(value.detach()).requires_grad_()


def skip_if_refused(call: Call, engine: str) -> None:
    """Skip the test, with the engine's own words, where the engine refuses the call."""
    reason = engines.refusal(engine, call.request)
    if reason is not None:
        pytest.skip(f"{engine}: {reason}")
