"""What users do beside the plain call: odd memory layouts, frozen weights, garbage in the padding, running twice."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from engines.running import (
    call_of,
    scattered,
    skip_if_refused,
    value_and_gradients,
    values_of,
    variables_of,
    with_gradients,
    with_variables,
)
from reference.cases import CELLS, SMALL, case_of, truth
from tolerances import TOLERANCE

from headgate import engines, reference

ENGINES = pytest.mark.parametrize("engine", engines.names())
CELL = pytest.mark.parametrize("name", ["lstm", "gru", "greff_fgrp"])
REVERSE = pytest.mark.parametrize("options", ["lengths", "lengths reverse"])


@ENGINES
@CELL
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_the_same_bits_twice(engine, name, dtype):
    case = case_of(name, (7, 5, 9), "lengths reverse")
    skip_if_refused(call_of(case, dtype), engine)
    once, again = (value_and_gradients(case, engine, dtype) for _ in range(2))
    for key, value in once.items():
        np.testing.assert_array_equal(value, again[key], err_msg=key)


@ENGINES
@CELL
@pytest.mark.parametrize("options", ["plain", "lengths reverse"])
def test_memory_layout_does_not_matter(engine, name, options):
    case = case_of(name, SMALL, options)
    call = call_of(case, torch.float64)
    skip_if_refused(call, engine)
    variables = {key: scattered(value) for key, value in variables_of(call).items()}
    assert not any(value.is_contiguous() for value in variables.values() if value.numel() > 1)
    found = with_gradients(case, values_of(with_variables(call, variables), engine), variables)
    assert_all_close(found, truth(name, SMALL, options), TOLERANCE[engine, torch.float64])


@ENGINES
@CELL
def test_a_gradient_may_come_in_any_layout(engine, name):
    case = case_of(name, SMALL, "lengths reverse")
    call = call_of(case, torch.float64)
    skip_if_refused(call, engine)
    values, variables = values_of(call, engine), variables_of(call)
    cotangents = [scattered(torch.tensor(case.cotangents[key])).detach() for key in values]
    found = torch.autograd.grad(list(values.values()), list(variables.values()), cotangents)
    found = {f"d_{key}": value.numpy() for key, value in zip(variables, found, strict=True)}
    expected = {key: truth(name, SMALL, "lengths reverse")[key] for key in found}
    assert_all_close(found, expected, TOLERANCE[engine, torch.float64])


@ENGINES
@CELL
def test_an_expanded_initial_state_collects_the_gradients_of_all_rows(engine, name):
    """As a learned initial state has it: one row, read by the whole batch."""
    case = case_of(name)
    call = call_of(case, torch.float64)
    skip_if_refused(call, engine)
    learned = [value.detach()[:1].clone().requires_grad_() for value in call.initial]
    shared = replace(call, initial=tuple(value.expand(3, -1) for value in learned))
    values = values_of(shared, engine)
    cotangents = [torch.tensor(case.cotangents[key]) for key in values]
    found = torch.autograd.grad(list(values.values()), learned, cotangents)
    repeated = {key: np.repeat(value[:1], 3, axis=0) for key, value in case.initial.items()}
    expected = reference.traced_gradients(replace(case, initial=repeated))
    for (key, _), gradient in zip(case.initial.items(), found, strict=True):
        total = expected[f"initial_{key}"].sum(0, keepdims=True)
        assert_all_close({key: gradient.numpy()}, {key: total}, TOLERANCE[engine, torch.float64])


def poisoned(case, garbage):
    padded = np.arange(len(case.input))[:, None] >= case.lengths
    assert padded.any() and not padded.all()
    input = case.input.copy()
    input[padded] = garbage
    return replace(case, input=input), padded


@ENGINES
@pytest.mark.parametrize("name", CELLS)
@REVERSE
@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e300], ids=str)
def test_garbage_in_the_padding_reaches_nothing(engine, name, options, garbage):
    """Outputs, final states, and every gradient of every valid step are what they are without it; its own is zero."""
    case, padded = poisoned(case_of(name, SMALL, options), garbage)
    skip_if_refused(call_of(case, torch.float64), engine)
    found = value_and_gradients(case, engine, torch.float64)
    assert_all_close(found, truth(name, SMALL, options), TOLERANCE[engine, torch.float64])
    assert not found["d_input"][padded].any() and not found["output"][padded].any()


@ENGINES
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.uint8], ids=str)
@REVERSE
def test_lengths_of_any_integer_dtype(engine, options, dtype):
    case = case_of("lstm", SMALL, options)
    call = call_of(case, torch.float64)
    skip_if_refused(call, engine)
    found = values_of(replace(call, lengths=call.lengths.to(dtype)), engine)
    expected = truth("lstm", SMALL, options)
    found = {key: value.detach().numpy() for key, value in found.items()}
    assert_all_close(found, {key: expected[key] for key in found}, TOLERANCE[engine, torch.float64])


@ENGINES
@CELL
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_a_batch_of_empty_rows(engine, name, reverse):
    """Zero output, the initial states untouched; gradients are zero but for the states', which pass through."""
    case = replace(case_of(name), lengths=np.zeros(3, int), reverse=reverse)
    skip_if_refused(call_of(case, torch.float64), engine)
    found = value_and_gradients(case, engine, torch.float64)
    expected = {key: np.zeros_like(value) for key, value in found.items()}
    for state, value in case.initial.items():
        expected[f"final_{state}"] = value
        expected[f"d_initial_{state}"] = case.cotangents[f"final_{state}"]
    assert_all_close(found, expected, TOLERANCE[engine, torch.float64])


@ENGINES
@CELL
def test_full_lengths_change_nothing(engine, name):
    call = call_of(case_of(name), torch.float64)
    skip_if_refused(call, engine)
    plain, full = values_of(call, engine), values_of(replace(call, lengths=torch.full((3,), 4)), engine)
    for key, value in plain.items():
        torch.testing.assert_close(full[key], value, rtol=1e-12, atol=1e-14)


@ENGINES
@CELL
def test_nothing_that_was_handed_in_is_changed(engine, name):
    case = case_of(name, SMALL, "lengths reverse")
    call = call_of(case, torch.float64)
    skip_if_refused(call, engine)
    before = {key: value.detach().clone() for key, value in variables_of(call).items()}
    values = values_of(call, engine)
    torch.autograd.backward(list(values.values()), [torch.ones_like(value) for value in values.values()])
    for key, value in variables_of(call).items():
        assert torch.equal(value.detach(), before[key]), key


@ENGINES
@CELL
def test_frozen_weights_get_no_gradient_and_change_no_other(engine, name):
    case = case_of(name)
    call = call_of(case, torch.float64)
    skip_if_refused(call, engine)
    for key, value in variables_of(call).items():
        value.requires_grad_(key in ("weight_hh", "initial_h"))
    values = values_of(call, engine)
    torch.autograd.backward(list(values.values()), [torch.tensor(case.cotangents[key]) for key in values])
    found = {f"d_{key}": value.grad.numpy() for key, value in variables_of(call).items() if value.grad is not None}
    expected = {key: truth(name)[key] for key in ("d_weight_hh", "d_initial_h")}
    assert_all_close(found, expected, TOLERANCE[engine, torch.float64])


@ENGINES
@CELL
def test_without_gradients_the_values_are_the_same_and_hold_no_graph(engine, name):
    call = call_of(case_of(name), torch.float64)
    skip_if_refused(call, engine)
    with torch.no_grad():
        alone = values_of(call, engine)
    assert not any(value.requires_grad for value in alone.values())
    found = {key: value.numpy() for key, value in alone.items()}
    assert_all_close(found, {key: truth(name)[key] for key in found}, TOLERANCE[engine, torch.float64])


@ENGINES
@CELL
def test_a_graph_that_is_kept_can_be_gone_through_twice(engine, name):
    call = call_of(case_of(name), torch.float64)
    skip_if_refused(call, engine)
    output, variables = values_of(call, engine)["output"], list(variables_of(call).values())
    once, again = (
        torch.autograd.grad(output.sum(), variables, retain_graph=True, materialize_grads=True) for _ in range(2)
    )
    assert all(torch.equal(one, other) for one, other in zip(once, again, strict=True))


@ENGINES
def test_a_loss_on_the_output_alone_or_on_the_final_states_alone(engine):
    case = case_of("lstm", SMALL, "lengths reverse")
    call = call_of(case, torch.float64)
    skip_if_refused(call, engine)
    values, variables = values_of(call, engine), variables_of(call)
    for chosen in ("output", "final_h", "final_c"):
        zeros = {key: np.zeros_like(value) for key, value in case.cotangents.items()}
        part = replace(case, cotangents={**zeros, chosen: case.cotangents[chosen]})
        found = torch.autograd.grad(
            values[chosen], list(variables.values()), torch.tensor(case.cotangents[chosen]), retain_graph=True
        )
        found = {key: value.numpy() for key, value in zip(variables, found, strict=True)}
        assert_all_close(found, reference.traced_gradients(part), TOLERANCE[engine, torch.float64])
