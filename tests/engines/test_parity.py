"""Every engine, on every cell it does not refuse: outputs, final states and every gradient against the reference."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from engines.running import call_of, skip_if_refused, value_and_gradients, variables_of
from reference.cases import CELLS, OPTIONS, SMALL, case_of, traced, truth
from tolerances import TOLERANCE

from headgate import engines, reference
from headgate.graph import trace
from headgate.graph.expression import in_order

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

DTYPES = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
ENGINES = pytest.mark.parametrize("engine", engines.names())
SHAPES = pytest.mark.parametrize("shape", [(7, 5, 9), (63, 2, 33)], ids="T{0[0]} B{0[1]} H{0[2]}".format)


def check(case, engine, dtype, expected):
    skip_if_refused(call_of(case, dtype), engine)
    assert_all_close(value_and_gradients(case, engine, dtype), expected, TOLERANCE[engine, dtype])


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", CELLS)
@ENGINES
def test_an_engine_agrees_with_the_reference(engine, name, options):
    check(case_of(name, SMALL, options), engine, torch.float64, truth(name, SMALL, options))


@pytest.mark.parametrize("options", ["plain", "lengths reset reverse no bias", "lengths reverse"])
@pytest.mark.parametrize("name", CELLS)
@ENGINES
def test_an_engine_agrees_with_the_reference_in_single_precision(engine, name, options):
    """More units than in `SMALL`: a norm over two is their sign, whose gradient is nothing but rounding."""
    case = case_of(name, (4, 3, 5), options)
    check(case, engine, torch.float32, traced(case))


@DTYPES
@pytest.mark.parametrize("name", CELLS)
@ENGINES
def test_one_step_of_one_row(engine, name, dtype):
    check(case_of(name, (1, 1, 3)), engine, dtype, truth(name, (1, 1, 3)))


@DTYPES
@SHAPES
@pytest.mark.parametrize("name", CELLS)
@ENGINES
def test_odd_sizes(engine, name, shape, dtype):
    """Too large for differences: the witness is the traced gradient, which differences vouch for."""
    options = "plain" if shape[0] > 7 else "lengths reverse"
    case = case_of(name, shape, options)
    check(case, engine, dtype, traced(case))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
@pytest.mark.parametrize("options", ["plain", "lengths reset reverse no bias"])
@pytest.mark.parametrize("name", CELLS)
@ENGINES
def test_half_precision_is_the_same_function(engine, name, options, dtype):
    """On numbers that half precision can hold, so that what differs is the engine's own rounding."""
    if "relu" in {node.kind for node in in_order(trace(CELLS[name]).states.values())}:
        pytest.skip("the gradient of relu jumps where rounding moves its argument across zero")
    case = rounded(case_of(name, (7, 5, 9), options), dtype)
    check(case, engine, dtype, traced(case))


def rounded(case, dtype):
    def nearest(arrays):
        return {name: torch.tensor(value).to(dtype).double().numpy() for name, value in arrays.items()}

    return replace(case.with_variables(nearest(case.variables)), cotangents=nearest(case.cotangents))


def test_no_engine_refuses_everything():
    """So that the skips above cannot hide an engine that never ran."""
    for engine in engines.names():
        reasons = {name: refusal(engine, name) for name in CELLS}
        # A GPU's, and the one that stands for a call in an ONNX file (tests/verbs/test_onnx_file.py has every cell).
        words = ("cuda", "onnx")
        elsewhere = [reason for reason in reasons.values() if reason and any(word in reason.lower() for word in words)]
        taken = {name for name, reason in reasons.items() if reason is None}
        assert taken >= {"lstm", "gru"} or len(elsewhere) == len(CELLS), f"{engine} ran {taken} only"
    assert not any(refusal("eager", name) for name in CELLS)


def refusal(engine, name):
    return engines.engine_named(engine).refusal(call_of(case_of(name), torch.float32).request)


# --- all states -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", ["lstm", "greff_fgrp", "gru"])
@ENGINES
def test_all_states_are_those_of_the_reference(engine, name, options):
    case = case_of(name, (5, 4, 3), options)
    call = replace(call_of(case, torch.float64), all_states=True)
    skip_if_refused(call, engine)
    module = engines.engine_named(engine)
    result = module.forward(call)
    found = {f"states_{state}": value.detach().numpy() for state, value in result.states.items()}
    expected = {key: value for key, value in reference.unroll(case).items() if key.startswith("states_")}
    assert_all_close(found, expected, TOLERANCE[engine, torch.float64])


@ENGINES
def test_states_are_not_kept_unless_asked_for(engine):
    skip_if_refused(call_of(case_of("lstm"), torch.float64), engine)
    assert engines.engine_named(engine).forward(call_of(case_of("lstm"), torch.float64)).states is None


@ENGINES
def test_gradients_reach_back_from_any_state(engine):
    """c at step t is the final c of the first t + 1 steps, so it has that run's gradients."""
    case, t = case_of("peephole_lstm", (5, 2, 3)), 2
    call = replace(call_of(case, torch.float64), all_states=True)
    skip_if_refused(call, engine)
    module = engines.engine_named(engine)
    weight = case.cotangents["final_c"]
    variables = variables_of(call)
    found = torch.autograd.grad(
        module.forward(call).states["c"][t], list(variables.values()), torch.tensor(weight), materialize_grads=True
    )
    zeros = {name: np.zeros_like(value) for name, value in case.cotangents.items()}
    cotangents = {**zeros, "output": zeros["output"][: t + 1], "final_c": weight}
    expected = reference.traced_gradients(replace(case, input=case.input[: t + 1], cotangents=cotangents))
    expected["input"] = np.concatenate([expected["input"], np.zeros_like(case.input[t + 1 :])])
    found = {name: value.numpy() for name, value in zip(variables, found, strict=True)}
    assert_all_close(found, expected, TOLERANCE[engine, torch.float64])
