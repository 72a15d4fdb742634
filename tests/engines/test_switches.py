"""All settings of the LSTM family that construct, on eager, against differences and the traced gradient."""

import dataclasses
import itertools

import pytest
import torch
from comparing import assert_all_close
from engines.running import value_and_gradients
from reference.cases import traced
from tolerances import TOLERANCE

from headgate import reference
from headgate.cells.lstm import LSTM


def settings():
    fields = dataclasses.fields(LSTM)
    choices = [("tanh", "identity") if isinstance(field.default, str) else (False, True) for field in fields]
    for values in itertools.product(*choices):
        try:
            yield LSTM(*values)
        except ValueError:
            continue


ALL = list(settings())


def test_these_are_all_that_construct():
    """Which ones do not is for tests/cells/test_equations.py."""
    assert len(set(ALL)) == 296


@pytest.mark.parametrize("cell", ALL, ids=lambda cell: cell.name.removeprefix("LSTM").strip("()") or "plain")
def test_a_setting_agrees_with_differences(cell):
    """Two steps, so that everything a step hands to the next is used; two units, so that no matrix is a number."""
    case = reference.random_case(cell, 2, 1, 2, I=1, O=1 if cell.projection else None, seed=3)
    expected = reference.value_and_gradients(case)
    assert_all_close(traced(case), expected, TOLERANCE["traced", torch.float64])
    assert_all_close(value_and_gradients(case, "eager", torch.float64), expected, TOLERANCE["eager", torch.float64])
