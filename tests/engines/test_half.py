"""Half precision: products in it, everything that is carried or summed up over time in float32."""

import pytest
import torch
from reference.cases import CELLS, case_of
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import headgate as hg
from headgate import engines
from headgate.cells import Cell, State, tanh
from headgate.cells.lstm import LSTM
from headgate.engines import Call, wide

HALF = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
STEPS = 2000

# An integrator: i and f are one, and g is what is added at every step.
BIAS = {"i": 10.0, "f": 20.0, "g": 0.001, "o": 0.0}


def integrator(dtype, requires_grad=False):
    weights = {"weight_ih": torch.zeros(4, 1), "weight_hh": torch.zeros(4, 1)}
    weights |= {"bias_ih": torch.tensor(list(BIAS.values())), "bias_hh": torch.zeros(4)}
    return {name: value.to(dtype).requires_grad_(requires_grad) for name, value in weights.items()}


def run(weights, steps, dtype, initial=None):
    zeros = torch.zeros(1, 1, dtype=dtype)
    call = Call(CELLS["lstm"], weights, torch.zeros(steps, 1, 1, dtype=dtype), initial or (zeros, zeros))
    return engines.engine_named(engines.choose(call.request)).forward(call)


def test_small_additions_are_not_lost():
    """2000 times 0.001 is 2. In bfloat16 a sum stops growing where 0.001 is under half its spacing: at 0.5."""
    _, c = run(integrator(torch.bfloat16), STEPS, torch.bfloat16).final
    assert c.item() == pytest.approx(2.0, rel=0.01)


def test_torch_loses_them():
    """The witness: the same layer, weights and dtype in torch.nn ends where the spacing says."""
    layers = [hg.LSTM(1, 1, dtype=torch.bfloat16), nn.LSTM(1, 1, dtype=torch.bfloat16)]
    ends = []
    for layer in layers:
        layer.load_state_dict({f"{name}_l0": value for name, value in integrator(torch.bfloat16).items()})
        ends.append(layer(torch.zeros(STEPS, 1, 1, dtype=torch.bfloat16))[1][1].item())
    assert ends[0] == pytest.approx(2.0, rel=0.01)
    assert ends[1] == pytest.approx(0.5, rel=0.05)


def test_gradients_of_recurrent_weights_are_summed_in_float32():
    """dc_T/db'_g is 1000 in steps of 1, and bfloat16 cannot count beyond 256; so too for U_g."""
    exact, half = {}, {}
    for found, dtype in ((exact, torch.float64), (half, torch.bfloat16)):
        weights = integrator(dtype, requires_grad=True)
        run(weights, 1000, dtype).final[1].backward()
        found |= {name: weights[name].grad.flatten()[2].item() for name in ("bias_ih", "bias_hh", "weight_hh")}
    assert exact["bias_hh"] == pytest.approx(1000, rel=0.001)
    assert half == pytest.approx(exact, rel=0.02)


class Watching(LSTM):
    """An LSTM that notes the dtypes its step is given."""

    seen: set

    def step(self, x, U, s, p):
        if isinstance(s.h, torch.Tensor):
            self.seen.update({("x", x.i.dtype), ("h", s.h.dtype), ("c", s.c.dtype), ("U", U.i(s.h).dtype)})
        return super().step(x, U, s, p)


class Products(TorchDispatchMode):
    """Notes the dtypes of the two factors of every matrix product."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, operation, types, arguments=(), keywords=None):
        if operation.overloadpacket.__name__ in ("mm", "addmm", "bmm", "baddbmm", "linear", "matmul"):
            self.seen.append({value.dtype for value in arguments if value.dim() > 1})
        return operation(*arguments, **(keywords or {}))


@HALF
def test_products_run_in_half_precision_and_all_else_in_float32(dtype):
    cell = Watching()
    object.__setattr__(cell, "seen", set())
    state = torch.ones(3, 2, dtype=dtype)
    weights = {name: torch.ones(shape, dtype=dtype) for name, shape in cell.parameter_shapes(4, 2, 2).items()}
    with Products() as products:
        engines.engine_named("eager").forward(Call(cell, weights, torch.ones(5, 3, 4, dtype=dtype), (state, state)))
    assert products.seen == [{dtype}] * (1 + 5), "one product for all inputs, one a step"
    assert cell.seen == {(what, torch.float32) for what in ("x", "h", "c", "U")}


@HALF
@pytest.mark.parametrize("carried", [torch.float32, None], ids=["float32 states", "half states"])
def test_results_come_in_the_dtypes_that_went_in(dtype, carried):
    state = torch.zeros(1, 1, dtype=carried or dtype)
    result = run(integrator(dtype), 3, dtype, (state, state))
    assert result.output.dtype == dtype
    assert [value.dtype for value in result.final] == [carried or dtype] * 2


def test_a_sequence_may_be_run_in_parts_where_the_state_is_handed_over_in_float32():
    """Exactly: the same bits as in one run. Handed over in bfloat16, every part loses what that cannot hold."""
    weights, start = integrator(torch.bfloat16), (torch.zeros(1, 1), torch.full((1, 1), 0.5))
    whole = run(weights, 300, torch.bfloat16, start).final
    state = rounded = start
    for _ in range(300):
        state = run(weights, 1, torch.bfloat16, state).final
        rounded = run(weights, 1, torch.bfloat16, tuple(value.bfloat16() for value in rounded)).final
    assert all(torch.equal(one, other) for one, other in zip(whole, state, strict=True))
    assert (whole[1].item(), rounded[1].item()) == (pytest.approx(0.8, rel=0.01), 0.5)


@HALF
def test_a_float32_state_beside_half_weights_is_differentiable(dtype):
    state = torch.full((1, 1), 0.25, requires_grad=True)
    h, c = run(integrator(dtype), 4, dtype, (torch.zeros(1, 1), state)).final
    (gradient,) = torch.autograd.grad(c.sum() + 0 * h.sum(), state)
    assert gradient.dtype == torch.float32 and gradient.item() == pytest.approx(1.0, rel=1e-3)


def test_states_are_carried_wide():
    assert wide(torch.bfloat16) is wide(torch.float16) is wide(torch.float32) is torch.float32
    assert wide(torch.float64) is torch.float64


@HALF
def test_all_states_are_kept_in_float32(dtype):
    case = case_of("lstm")
    weights = {name: torch.tensor(value, dtype=dtype) for name, value in case.weights.items()}
    initial = tuple(torch.tensor(value, dtype=dtype) for value in case.initial.values())
    call = Call(case.cell, weights, torch.tensor(case.input, dtype=dtype), initial, all_states=True)
    result = engines.engine_named("eager").forward(call)
    assert {value.dtype for value in result.states.values()} == {torch.float32}
    assert torch.equal(result.states["h"].to(dtype), result.output)


def test_a_user_cell_is_carried_wide_too():
    class Sum(Cell):
        gates = "a"

        def step(self, x, U, s):
            return State(h=s.h + tanh(x.a) + 0.0 * U.a(s.h) + 1e-9 * tanh(U.a(s.h)))

    weights = {"weight_ih": torch.full((1, 1), 0.001), "weight_hh": torch.zeros(1, 1)}
    weights = {name: value.bfloat16() for name, value in weights.items()}
    input, zeros = torch.ones(STEPS, 1, 1, dtype=torch.bfloat16), torch.zeros(1, 1)
    result = engines.engine_named("eager").forward(Call(Sum(), weights, input, (zeros,)))
    assert result.final[0].item() == pytest.approx(2.0, rel=0.01)
