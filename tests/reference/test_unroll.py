"""What lengths, resets and the reverse direction mean, each said again in terms of plain runs of single rows."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from comparing import assert_all_close
from reference.cases import CELLS, OPTIONS, case_of
from tolerances import TOLERANCE
from torch import float64

from headgate.reference import unroll

SHAPE = (6, 4, 3)
EXACT = TOLERANCE["restated", float64]


def pieces_of_row(case, b):
    """The stretches of a row's valid steps that no reset interrupts, in the order in which they are run."""
    length = len(case.input) if case.lengths is None else int(case.lengths[b])
    starts = [] if case.reset is None else [t for t in range(1, length) if case.reset[t, b]]
    edges = [0, *starts, length]
    stretches = [range(a, z) for a, z in pairwise(edges) if z > a]
    return [stretch[::-1] for stretch in reversed(stretches)] if case.reverse else stretches


def row_by_row(case):
    """The same as `unroll`, from plain runs: one row, one stretch, forward, every step valid."""
    B = case.input.shape[1]
    plain = replace(case, lengths=None, reset=None, reverse=False)
    output = np.zeros_like(case.cotangents["output"])
    final = {name: value.copy() for name, value in case.initial.items()}
    for b in range(B):
        row = {name: value[b : b + 1] for name, value in case.initial.items()}
        for stretch in pieces_of_row(case, b):
            times = list(stretch)
            values = unroll(replace(plain, input=case.input[times, b : b + 1], initial=row))
            output[times, b] = values["output"][:, 0]
            for name in final:
                final[name][b] = values[f"final_{name}"][0]
    return {"output": output, **{f"final_{name}": value for name, value in final.items()}}


@pytest.mark.parametrize("options", [name for name in OPTIONS if name != "no bias"])
@pytest.mark.parametrize("name", ["lstm", "gru", "greff_fgrp"])
def test_a_batch_is_its_rows_run_apart(name, options):
    case = case_of(name, SHAPE, options)
    values = unroll(case)
    compared = {key: values[key] for key in ("output", *(f"final_{state}" for state in case.initial))}
    assert_all_close(compared, row_by_row(case), EXACT)


def test_a_step_is_the_cell_called_on_arrays():
    """The loop itself, against two steps of the plain network written out."""
    case = case_of("rnn", (2, 1, 3))
    w, h = case.weights, case.initial["h"]
    hidden = []
    for x in case.input:
        h = np.tanh(x @ w["weight_ih"].T + w["bias_ih"] + h @ w["weight_hh"].T + w["bias_hh"])
        hidden.append(h)
    assert_all_close(unroll(case), {"output": np.stack(hidden), "final_h": h, "states_h": np.stack(hidden)}, EXACT)


def test_an_empty_row_keeps_its_state_and_gives_zeros():
    case = case_of("lstm", SHAPE, "lengths")
    empty = case.lengths == 0
    values = unroll(case)
    assert empty.any()
    assert not values["output"][:, empty].any()
    np.testing.assert_array_equal(values["final_c"][empty], case.initial["c"][empty])


def test_states_are_frozen_past_the_end_while_the_output_is_zero():
    case = replace(case_of("lstm", SHAPE), lengths=np.array([6, 3, 1, 0]))
    values = unroll(case)
    for b, length in enumerate(case.lengths):
        assert not values["output"][length:, b].any()
        for t in range(length, 6):
            np.testing.assert_array_equal(values["states_c"][t, b], values["final_c"][b])
    valid = np.arange(6)[:, None] < case.lengths
    np.testing.assert_array_equal(values["states_h"][valid], values["output"][valid])


def test_what_stands_in_padded_steps_changes_nothing():
    case = replace(case_of("gru", SHAPE, "lengths reverse"), lengths=np.array([6, 3, 1, 0]))
    padded = np.arange(6)[:, None] >= case.lengths
    poisoned = case.input.copy()
    poisoned[padded] = np.nan
    for name, value in unroll(replace(case, input=poisoned)).items():
        np.testing.assert_array_equal(value, unroll(case)[name], err_msg=name)


def test_a_reset_at_the_first_step_changes_nothing_forward():
    case = case_of("gru", SHAPE)
    first = np.zeros((6, 4), bool)
    first[0] = True
    for name, value in unroll(replace(case, reset=first)).items():
        np.testing.assert_array_equal(value, unroll(case)[name], err_msg=name)


@pytest.mark.parametrize("name", CELLS)
def test_an_input_reaches_the_output_and_what_follows_but_nothing_before(name):
    """Causality, by moving one input: forward it acts on later steps only, in reverse on earlier ones."""
    for reverse, untouched, touched in ((False, slice(0, 3), slice(3, None)), (True, slice(4, None), slice(0, 4))):
        case = replace(case_of(name, SHAPE), reverse=reverse)
        moved = case.input.copy()
        moved[3] += 1.0
        difference = np.abs(unroll(replace(case, input=moved))["output"] - unroll(case)["output"]).max((1, 2))
        assert (difference[untouched] == 0).all() and (difference[touched] > 0).all()
