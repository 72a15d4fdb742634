"""The eager engine inside torch.func: batched over, differentiated forward, one gradient a sample."""

import pytest
import torch
from comparing import assert_all_close
from engines.running import call_of, values_of, variables_of, with_variables
from reference.cases import CELLS, SMALL, case_of
from tolerances import TOLERANCE
from torch.func import functional_call, grad, jacfwd, jacrev, jvp, vmap

import headgate as hg
from headgate import engines

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")

EXACT = TOLERANCE["eager", torch.float64]
CELL = pytest.mark.parametrize("name", ["lstm", "reset_before_gru", "greff_fgrp", "relu_rnn"])
OPTION = pytest.mark.parametrize("options", ["plain", "lengths reset reverse no bias"])


def detached(call):
    return {name: value.detach() for name, value in variables_of(call).items()}


def arrays(values):
    return {name: value.detach().numpy() for name, value in values.items()}


@OPTION
@CELL
def test_vmap_over_everything_is_a_loop(name, options):
    """An ensemble: five sets of weights, inputs and states run at once."""
    call = call_of(case_of(name, SMALL, options), torch.float64)
    torch.manual_seed(0)
    ensemble = {key: torch.randn(5, *value.shape, dtype=value.dtype) for key, value in detached(call).items()}
    together = vmap(lambda variables: values_of(with_variables(call, variables), "eager"))(ensemble)
    apart = [
        values_of(with_variables(call, {key: value[k] for key, value in ensemble.items()}), "eager") for k in range(5)
    ]
    expected = {key: torch.stack([values[key] for values in apart]) for key in together}
    assert_all_close(arrays(together), arrays(expected), EXACT)


def test_vmap_over_inputs_with_lengths_of_their_own():
    call = call_of(case_of("gru", SMALL, "lengths"), torch.float64)
    lengths = torch.tensor([[4, 0, 1], [2, 3, 4]])

    def run(row_lengths):
        result = engines.engine_named("eager").forward(type(call)(**{**vars(call), "lengths": row_lengths}))
        return {"output": result.output, "final_h": result.final[0]}

    expected = {key: torch.stack([run(row)[key] for row in lengths]) for key in ("output", "final_h")}
    assert_all_close(arrays(vmap(run)(lengths)), arrays(expected), EXACT)


@OPTION
@CELL
def test_a_gradient_for_each_sample(name, options):
    """grad inside vmap against a backward pass for each row of the batch."""
    call = call_of(case_of(name, SMALL, options), torch.float64)
    variables = detached(call)
    weights = {key: variables[key] for key in call.weights}
    rows = {key: value for key, value in variables.items() if key not in weights}

    def loss(weights, input, initial, lengths, reset):
        given = {**weights, "input": input[:, None], **{key: value[None] for key, value in initial.items()}}
        alone = type(call)(**{**vars(call), "lengths": lengths[None], "reset": reset[:, None]})
        return sum((value**2).sum() for value in values_of(with_variables(alone, given), "eager").values())

    T, B = call.input.shape[:2]
    lengths = torch.full((B,), T) if call.lengths is None else call.lengths
    reset = torch.zeros(T, B, dtype=torch.bool) if call.reset is None else call.reset
    initial = {key: value for key, value in rows.items() if key != "input"}
    per_row = (rows["input"], initial, lengths, reset)
    found = vmap(grad(loss), in_dims=(None, 1, 0, 0, 1))(weights, *per_row)

    for b in range(B):
        leaves = {key: value.clone().requires_grad_() for key, value in weights.items()}
        row = (per_row[0][:, b], {key: value[b] for key, value in initial.items()}, lengths[b], reset[:, b])
        loss(leaves, *row).backward()
        expected = {key: value.grad.numpy() for key, value in leaves.items()}
        assert_all_close({key: value[b].numpy() for key, value in found.items()}, expected, EXACT)


@OPTION
@CELL
def test_forward_mode_agrees_with_backward_mode(name, options):
    """<w, J v> = <J^T w, v> for random v and w."""
    call = call_of(case_of(name, SMALL, options), torch.float64)
    variables = detached(call)
    torch.manual_seed(1)
    direction = {key: torch.randn_like(value) for key, value in variables.items()}
    _, pushed = jvp(lambda given: values_of(with_variables(call, given), "eager"), (variables,), (direction,))
    values = values_of(call, "eager")
    weights = {key: torch.randn_like(value) for key, value in values.items()}
    pulled = torch.autograd.grad(list(values.values()), list(variables_of(call).values()), list(weights.values()))
    forward = sum((weights[key] * pushed[key]).sum() for key in values)
    backward = sum((part * direction[key]).sum() for key, part in zip(variables, pulled, strict=True))
    assert forward.item() == pytest.approx(backward.item(), rel=EXACT)


def test_jacobians_agree_forward_and_backward():
    call = call_of(case_of("lstm", (3, 2, 2)), torch.float64)
    variables = detached(call)

    def final(state):
        return values_of(with_variables(call, {**variables, "initial_c": state}), "eager")["final_c"]

    backward, forward = (jacobian(final)(variables["initial_c"]) for jacobian in (jacrev, jacfwd))
    assert backward.shape == (2, 2, 2, 2) and backward.abs().max() > 0.01
    assert not backward[0, :, 1].any(), "rows of a batch do not touch each other"
    assert_all_close({"dc/dc": forward.numpy()}, {"dc/dc": backward.numpy()}, EXACT)


def test_a_layer_gives_a_gradient_for_each_sample():
    """Through the module, which chooses: stock outside the transform, eager within."""
    torch.manual_seed(2)
    layer = hg.LSTM(3, 4, num_layers=2, bidirectional=True, dtype=torch.float64)
    weights, x = dict(layer.named_parameters()), torch.randn(5, 6, 3, dtype=torch.float64)

    def loss(weights, row):
        output, _ = functional_call(layer, weights, (row[:, None],))
        return (output**2).sum()

    found = vmap(grad(loss), in_dims=(None, 1))({key: value.detach() for key, value in weights.items()}, x)
    for b in range(6):
        one = torch.autograd.grad(loss(weights, x[:, b]), list(weights.values()))
        expected = {key: value.numpy() for key, value in zip(weights, one, strict=True)}
        assert_all_close({key: value[b].detach().numpy() for key, value in found.items()}, expected, EXACT)


def test_these_cells_have_what_the_catalogue_has():
    """One stage and two, vectors, several matrices, a projection, a kink."""
    chosen = [CELLS[name] for name in ("lstm", "reset_before_gru", "greff_fgrp", "relu_rnn")]
    assert any(cell.vector_names for cell in chosen) and any(cell.produces_projection for cell in chosen)
    assert any(len(cell.recurrent) > 1 for cell in chosen) and any(len(cell.state_names) == 1 for cell in chosen)
