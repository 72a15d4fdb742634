"""How the tests run products of bfloat16 by tiles, and what they should give: float64 on rounded factors."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from engines.running import call_of, variables_of, with_variables

from headgate.engines import Call, Result, eager
from headgate.engines.cpu import library, own_cells
from headgate.reference import Case

CSRC = Path(__file__).resolve().parents[2] / "csrc"


def build_trap(folder: Path) -> ctypes.CDLL:
    """csrc/tests/trap.cpp as a library, which does what AMX's instructions do on a processor without them."""
    made = folder / "trap.so"
    command = [own_cells.compiler(), "-std=c++17", "-O2", "-shared", "-fPIC", f"-I{CSRC / 'include'}"]
    done = subprocess.run([*command, str(CSRC / "tests/trap.cpp"), "-o", str(made)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return ctypes.CDLL(str(made))


def skip_unless_amx_can_be_run() -> None:
    """Skip where the library's code for AMX, which is also code for AVX-512 with bf16, cannot run even with a trap."""
    if not hasattr(library.library(), "hg_run_amx_bf16"):
        pytest.skip("the library was built without AMX")
    if library.instructions() != "avx512" or "avx512_bf16" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor has no AVX-512 with bf16")
    if own_cells.compiler() is None:
        pytest.skip("there is no C++ compiler")


@contextmanager
def trapped(trap: ctypes.CDLL) -> Iterator[Callable[[], int]]:
    """AMX's instructions can be run within; gives how many of its products were, where they are trapped."""
    trap.trap_tiles()
    try:
        yield lambda: ctypes.c_int64.in_dll(trap, "products_made").value
    finally:
        trap.free_tiles()


def half_call(case: Case) -> Call:
    """A case in bfloat16, with initial states in float32, and every state asked for."""
    call = call_of(case, torch.bfloat16)
    initial = tuple(torch.tensor(v, dtype=torch.float32, requires_grad=True) for v in case.initial.values())
    return replace(call, initial=initial, all_states=True)


def values_and_gradients(run: Callable[[Call], Result], call: Call) -> dict[str, np.ndarray]:
    """All states, those at the end, and the gradients of their sum with random weights, by name, float64."""
    result = run(call)
    values = {f"states_{name}": value for name, value in result.states.items()}
    values |= {f"final_{name}": value for name, value in zip(call.cell.state_names, result.final, strict=True)}
    generator = torch.Generator().manual_seed(3)
    weights = [torch.randn(value.shape, generator=generator).to(value) for value in values.values()]
    variables = variables_of(call)
    gradients = torch.autograd.grad(list(values.values()), list(variables.values()), weights)
    found = values | {f"d_{name}": value for name, value in zip(variables, gradients, strict=True)}
    return {name: value.detach().double().numpy() for name, value in found.items()}


def rounded(value: torch.Tensor) -> torch.Tensor:
    """The nearest numbers of bfloat16."""
    return value.float().bfloat16().to(value.dtype)


class Product(torch.autograd.Function):
    """vector weight^T, both ways on rounded factors."""

    @staticmethod
    def forward(ctx, vector, weight):
        ctx.save_for_backward(rounded(vector), rounded(weight))
        return rounded(vector) @ rounded(weight).T

    @staticmethod
    def backward(ctx, gradient):
        vector, weight = ctx.saved_tensors
        gradient = rounded(gradient)
        return gradient @ weight, gradient.flatten(0, -2).T @ vector.flatten(0, -2)


def expected(call: Call, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """`values_and_gradients` by the eager engine in float64, with every product on factors rounded to bfloat16."""

    def linear(vector, weight, bias=None):
        made = Product.apply(vector.expand(*vector.shape[:-1], -1), weight)
        return made if bias is None else made + bias

    exact = {name: value.detach().double().requires_grad_() for name, value in variables_of(call).items()}
    with monkeypatch.context() as patch:
        patch.setattr(eager, "functional", SimpleNamespace(linear=linear))
        return values_and_gradients(eager.forward, with_variables(call, exact))
