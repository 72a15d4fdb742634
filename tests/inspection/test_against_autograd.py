"""Gates, states and total gradients of every cell, at every step, against autograd through a stack unrolled by hand."""

import pytest
import torch
from comparing import assert_all_close
from graph.one_step import STRANGE
from inspection.watching import (
    CELLS,
    EXACT,
    LENGTHS,
    B,
    I,
    T,
    assert_as_unrolled,
    cotangents_of,
    layer_of,
    loss_of,
    numbers_of,
    resets,
    unrolled,
    watched,
)
from nn.layer_runs import as_hx, normal, states_for
from torch import nn

import headgate as hg

pytestmark = pytest.mark.usefixtures("way")
every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
SOME = {name: CELLS[name] for name in ("lstm", "gru", "greff_fgrp")}
some_cells = pytest.mark.parametrize("cell", SOME.values(), ids=SOME)
both_modes = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])


@every_cell
@pytest.mark.parametrize("loss", ["last", "dense", "final"])
def test_every_cell_and_loss(cell, loss):
    layer, input = layer_of(cell), normal(T, B, I)
    seen, cotangents = watched(layer, input, loss=loss)
    assert_as_unrolled(seen, unrolled(cell, layer, input, None, cotangents))


@both_modes
@every_cell
def test_lengths_resets_and_states_given(cell, training):
    layer, input = layer_of(cell, bias=False).train(training), normal(T, B, I)
    states, reset = states_for(layer, B), resets()
    seen, cotangents = watched(layer, input, states, lengths=LENGTHS, reset=reset)
    assert_as_unrolled(seen, unrolled(cell, layer, input, states, cotangents, LENGTHS, reset))


@every_cell
def test_lengths_alone(cell):
    """On torch's own kernel, where there is one; the rows past their end are zero to the bit."""
    layer, input = layer_of(cell), normal(T, B, I)
    seen, cotangents = watched(layer, input, loss="last", lengths=LENGTHS)
    assert_as_unrolled(seen, unrolled(cell, layer, input, None, cotangents, LENGTHS))
    padding = torch.arange(T)[:, None] >= torch.tensor(LENGTHS)
    for part in seen:
        found = {n: v for n, v in numbers_of(seen[part]).items() if not n.startswith("grad_initial")}
        assert not [name for name, value in found.items() if value[padding].any()]
        assert seen[part].lengths.tolist() == LENGTHS


@some_cells
@pytest.mark.parametrize("filling", [float("nan"), float("inf"), 1e30], ids=["nan", "inf", "1e30"])
def test_what_lies_in_the_padding_changes_nothing(cell, filling):
    layer, clean = layer_of(cell), normal(T, B, I)
    filled = clean.masked_fill((torch.arange(T)[:, None] >= torch.tensor(LENGTHS))[..., None], filling)
    seen, cotangents = watched(layer, filled, lengths=LENGTHS)
    assert_as_unrolled(seen, unrolled(cell, layer, clean, None, cotangents, LENGTHS))


@both_modes
@some_cells
def test_batch_first(cell, training):
    """What is asked for stays time-major, as everywhere in the watch."""
    layer, input = layer_of(cell, batch_first=True).train(training), normal(T, B, I)
    states, reset = states_for(layer, B), resets()
    with hg.watch(layer) as seen:
        output, final = layer(input.transpose(0, 1), as_hx(states), lengths=LENGTHS, reset=reset.T)
        result = output.transpose(0, 1), final
        cotangents = cotangents_of(result, "all", LENGTHS)
        loss_of(result, cotangents).backward()
    assert_as_unrolled(seen, unrolled(cell, layer, input, states, cotangents, LENGTHS, reset))


@some_cells
@pytest.mark.parametrize("given", [True, False], ids=["hx", "no-hx"])
def test_without_a_batch(cell, given):
    """One row, B = 1."""
    layer, input = layer_of(cell), normal(T, 1, I)
    states = states_for(layer, 1) if given else None
    unbatched = None if states is None else as_hx(tuple(state[:, 0] for state in states))
    with hg.watch(layer) as seen:
        output, final = layer(input[:, 0], unbatched)
        ends = tuple(state[:, None] for state in final) if isinstance(final, tuple) else final[:, None]
        result = output[:, None], ends
        cotangents = cotangents_of(result, "all")
        loss_of(result, cotangents).backward()
    assert_as_unrolled(seen, unrolled(cell, layer, input, states, cotangents))


@some_cells
def test_one_step_one_layer_one_direction(cell):
    layer, input = layer_of(cell, num_layers=1, bidirectional=False), normal(1, B, I)
    seen, cotangents = watched(layer, input)
    assert_as_unrolled(seen, unrolled(cell, layer, input, None, cotangents))


@some_cells
def test_learned_initial_states(cell):
    layer, input = layer_of(cell, learnable_state=True), normal(T, B, I)
    for name, parameter in layer.named_parameters():
        if name.startswith("initial_"):
            nn.init.normal_(parameter)
    states = tuple(state.detach() for state in layer.initial_state(B))
    seen, cotangents = watched(layer, input)
    assert_as_unrolled(seen, unrolled(cell, layer, input, states, cotangents))


@pytest.mark.parametrize("engine", ["stock", "eager"])
def test_whichever_engine_ran(engine):
    layer, input = layer_of(CELLS["lstm"], engine=engine), normal(T, B, I)
    seen, cotangents = watched(layer, input)
    assert_as_unrolled(seen, unrolled(layer.cell, layer, input, None, cotangents))


def test_a_cell_with_every_operation():
    cell = STRANGE["everything"]
    layer, input = layer_of(cell), normal(T, B, I)
    seen, cotangents = watched(layer, input, lengths=LENGTHS)
    assert_as_unrolled(seen, unrolled(cell, layer, input, None, cotangents, LENGTHS))


def test_states_handed_on_as_they_are():
    """In `Delay` the state d is the h of the step before, itself: its gradient is what comes to d alone."""
    cell = STRANGE["delay"]
    layer, input = layer_of(cell), normal(T, B, I)
    states = states_for(layer, B)
    seen, cotangents = watched(layer, input, states)
    whole = unrolled(cell, layer, input, states, cotangents)
    for part, expected in whole.parts.items():
        arrived = expected.gathered(expected.handed, "d", gradient=True)
        actual = {n: v for n, v in numbers_of(seen[part]).items() if n.startswith(("state", "grad_initial"))}
        assert_all_close(actual, {name: expected.numbers()[name] for name in actual}, EXACT)
        assert_all_close({"grad d": seen[part].grad["d"]}, {"grad d": arrived}, EXACT)


def test_an_output_that_is_the_memory_itself():
    """Without output gate and activation h is c: one variable, whose total gradient is that of c."""
    cell = hg.cells.get("lstm", output_gate=False, output_activation="identity")
    layer, input = layer_of(cell), normal(T, B, I)
    seen, cotangents = watched(layer, input)
    for part, expected in unrolled(cell, layer, input, None, cotangents).parts.items():
        numbers = expected.numbers()
        numbers["grad h"] = numbers["grad c"]
        assert_all_close(numbers_of(seen[part]), numbers, EXACT)


def test_steps_of_a_stream():
    """A module called step by step is told of as one sequence."""
    layer, input = layer_of(CELLS["gru"], bidirectional=False), normal(T, B, I)
    with hg.watch(layer) as whole:
        layer(input)[0][-1].sum().backward()
    with hg.watch(layer) as seen:
        state = None
        for x in input:
            output, state = layer.step(x, state)
        output.sum().backward()
    for part in ("l0", "l1"):
        assert_all_close(numbers_of(seen[part]), numbers_of(whole[part]), EXACT)
