"""torch's own opinion of the derivatives, the second ones too."""

import warnings

import pytest
import torch
from engines.mutant_cells import WrongLSTM
from engines.running import call_of, skip_if_refused, values_of, variables_of, with_variables
from reference.cases import CELLS, OPTIONS
from torch.autograd import gradcheck, gradgradcheck
from torch.autograd.gradcheck import GradcheckError

from headgate import engines, reference

ALL_AT_ONCE = {"lengths": True, "reset": True, "reverse": True}


def problem(cell, engine, **options):
    """A function of the case's variables, and the variables."""
    size = 1 if cell.produces_projection else None
    case = reference.random_case(cell, 2, 2, 2, I=1, O=size, seed=4, **options)
    call = call_of(case, torch.float64)
    skip_if_refused(call, engine)
    names = list(variables_of(call))

    def function(*values):
        return tuple(values_of(with_variables(call, dict(zip(names, values, strict=True))), engine).values())

    return function, tuple(variables_of(call).values())


@pytest.mark.parametrize("options", [{}, ALL_AT_ONCE], ids=["plain", "lengths reset reverse"])
@pytest.mark.parametrize("name", CELLS)
def test_first_derivatives(name, options):
    assert gradcheck(*problem(CELLS[name], "eager", **options), fast_mode=bool(options))


@pytest.mark.parametrize("options", [{}, ALL_AT_ONCE], ids=["plain", "lengths reset reverse"])
@pytest.mark.parametrize("name", CELLS)
def test_second_derivatives(name, options):
    assert gradgradcheck(*problem(CELLS[name], "eager", **options), fast_mode=True)


def test_second_derivatives_of_the_lstm_number_by_number():
    """`fast_mode` above compares random projections; once, every entry."""
    assert gradgradcheck(*problem(CELLS["lstm"], "eager"))


@pytest.mark.parametrize("name", ["lstm", "lstmp", "gru", "rnn", "relu_rnn"])
@pytest.mark.parametrize("engine", [name for name in engines.names() if name != "eager"])
def test_the_other_engines_differentiate_twice_or_refuse(engine, name):
    """Never wrong: a second derivative either passes, or torch says that there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        function, variables = problem(CELLS[name], engine)
        assert gradcheck(function, variables, fast_mode=True)
        try:
            assert gradgradcheck(function, variables, fast_mode=True)
        except RuntimeError as refused:
            assert not isinstance(refused, GradcheckError), refused
            assert "deriv" in str(refused) or "backward" in str(refused)


def test_a_wrong_derivative_is_refused():
    with pytest.raises(GradcheckError, match="Jacobian mismatch"):
        gradcheck(*problem(WrongLSTM(), "eager"))


def test_options_cover_what_is_checked_here():
    assert {key for options in OPTIONS.values() for key in options} >= set(ALL_AT_ONCE)
