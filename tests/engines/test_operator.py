"""One layer in one direction as one torch operator: right by itself, and one node in a compiled graph."""

import copy
import pickle
import re
from dataclasses import dataclass

import pytest
import torch
from comparing import assert_all_close
from engines.running import call_of, scattered, variables_of, with_gradients, with_variables
from graph.one_step import STRANGE
from reference.cases import SMALL, case_of, truth
from tolerances import TOLERANCE

import headgate as hg
from headgate import cells, engines
from headgate.cells import Cell, Gates, State, sigmoid, tanh
from headgate.engines import operator
from headgate.reference import random_case

# torch's own: parts of its compiler that are imported when first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script(_method)?` is deprecated")

EXACT = TOLERANCE["eager", torch.float64]
CELL = pytest.mark.parametrize("name", ["lstm", "reset_before_gru", "greff_fgrp"])
OPTION = pytest.mark.parametrize("options", ["plain", "no bias", "lengths reset", "lengths reset reverse no bias"])


def arguments(case, dtype=torch.float64):
    """The operator's arguments for a case."""
    call = call_of(case, dtype)
    weights, initial = list(call.weights.values()), list(call.initial)
    return call.input, weights, initial, call.lengths, call.reset, operator.key(case.cell), "", case.reverse, None


# --- the operator by itself -------------------------------------------------------------------------------------


@OPTION
@CELL
def test_the_operator_agrees_with_the_reference(name, options):
    case = case_of(name, SMALL, options)
    call = call_of(case, torch.float64)
    result = operator.forward(call, operator.key(case.cell), None)
    values = {"output": result.output, **{f"final_{k}": v for k, v in zip(case.initial, result.final, strict=True)}}
    assert_all_close(with_gradients(case, values, variables_of(call)), truth(name, SMALL, options), EXACT)


@pytest.mark.parametrize("layout", ["dense", "scattered"])
@pytest.mark.parametrize("name, options", [("lstm", "plain"), ("greff_fgrp", "lengths reset reverse no bias")])
def test_torch_finds_the_operator_well_made(name, options, layout):
    """Schema, shapes and strides without data, autograd registration, the same numbers when traced."""
    input, weights, initial, *rest = arguments(case_of(name, SMALL, options))
    if layout == "scattered":
        input, weights, initial = scattered(input), list(map(scattered, weights)), list(map(scattered, initial))
    results = torch.library.opcheck(torch.ops.headgate.recurrent.default, (input, weights, initial, *rest))
    assert set(results.values()) == {"SUCCESS"}


def test_a_loss_on_one_result_alone():
    case = case_of("lstm")
    for chosen in range(3):
        given = arguments(case)
        result = torch.ops.headgate.recurrent(*given)[chosen]
        found = torch.autograd.grad(result.sum(), [given[0], *given[1], *given[2]])
        assert all(value.isfinite().all() for value in found) and any(value.any() for value in found)


def test_results_share_no_memory_with_the_arguments_or_each_other():
    """A cell that hands its states on as they are would return its arguments; in a graph they must be copies."""
    cell = STRANGE["delay"]
    input, weights, initial, *rest = arguments(random_case(cell, 1, 2, 3))
    output, h, d, e = torch.ops.headgate.recurrent(input, weights, initial, *rest)
    assert torch.equal(d, initial[0]) and torch.equal(e, h) and torch.equal(output[0], h)
    places = [value.data_ptr() for value in (output, h, d, e, *initial)]
    assert len(set(places)) == len(places)


def test_a_second_derivative_is_refused_not_wrong():
    given = arguments(case_of("lstm"))
    output = torch.ops.headgate.recurrent(*given)[0]
    (first,) = torch.autograd.grad((output**2).sum(), given[0], create_graph=True)
    with pytest.raises(RuntimeError, match="headgate"):
        torch.autograd.grad((first**2).sum(), given[1])


def test_an_engine_that_cannot_is_refused_in_there_too():
    *given, _, reverse, seed = arguments(case_of("peephole_lstm"))
    with pytest.raises(RuntimeError, match=r'engine="stock" cannot run here: torch has no kernel for LSTM\(peephole'):
        torch.ops.headgate.recurrent(*given, "stock", reverse, seed)


@pytest.mark.parametrize("lengths", [[5, 1, 0], [4, -1, 0]], ids=["too long", "negative"])
def test_lengths_that_cannot_be_meant_are_refused(lengths):
    """A compiled layer cannot look at them before, so the operator does when it runs."""
    input, weights, initial, _, *rest = arguments(case_of("gru"))
    with pytest.raises(ValueError, match=rf"lengths {re.escape(str(lengths))} do not all lie in 0\.\.4 = 0\.\.T"):
        torch.ops.headgate.recurrent(input, weights, initial, torch.tensor(lengths), *rest)


def test_half_precision_keeps_a_float32_state():
    input, weights, initial, *rest = arguments(case_of("lstm"), torch.bfloat16)
    wide = [value.detach().float().requires_grad_() for value in initial]
    output, *final = torch.ops.headgate.recurrent(input, weights, wide, *rest)
    assert output.dtype == torch.bfloat16 and {value.dtype for value in final} == {torch.float32}
    gradients = torch.autograd.grad(final[1].sum(), [input, *weights, *wide])
    assert [value.dtype for value in gradients] == [value.dtype for value in (input, *weights, *wide)]


# --- keys -------------------------------------------------------------------------------------------------------


def two_of_one_name():
    """Different cells of the same class name in the same module, as two users' files may have."""

    def made(sign):
        class Mine(Cell):
            gates = "a"

            def step(self, x, U, s):
                return State(h=tanh(x.a + sign * U.a(s.h)))

        return Mine()

    return made(1.0), made(-1.0)


def test_equal_cells_share_a_key_and_others_do_not():
    assert operator.key(cells.get("lstm")) == operator.key(cells.get("lstm", peephole=False))
    names = [operator.key(cells.get(name)) for name in cells.names()]
    assert len(set(names)) == len(names)
    one, other = two_of_one_name()
    assert one.name == other.name
    assert operator.key(one) != operator.key(other)
    assert operator.key(one) == operator.key(one)


def test_equal_class_names_run_their_own_equations():
    one, other = two_of_one_name()
    x = torch.ones(2, 1, 1)
    weights, initial = [torch.ones(1, 1)] * 2 + [torch.zeros(1)] * 2, [torch.ones(1, 1)]
    found = [
        torch.ops.headgate.recurrent(x, weights, initial, None, None, operator.key(cell), "", False, None)[0][0].item()
        for cell in (one, other)
    ]
    assert found == pytest.approx([torch.tensor(2.0).tanh().item(), 0.0])


def test_a_copied_or_unpickled_layer_knows_its_key():
    layer = hg.Recurrent("greff_fgr", 2, 3)
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert again._cell_key == layer._cell_key == operator.key(layer.cell)


# --- in a compiled graph ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mine(Cell):
    """A cell as a user would write one."""

    gates = "f n"
    vectors = "p"

    def step(self, x, U, s, p):
        f = sigmoid(x.f + U.f(s.h) + p.p * s.h)
        return State(h=f * s.h + (1.0 - f) * tanh(x.n + U.n(f * s.h))), Gates(f=f)


class Counting:
    """A backend of torch.compile that runs the graph as it is and counts its recurrent nodes."""

    def __init__(self):
        self.graphs, self.nodes = 0, 0

    def __call__(self, graph, inputs):
        self.graphs += 1
        self.nodes += sum(node.target is torch.ops.headgate.recurrent.default for node in graph.graph.nodes)
        return graph.forward


def problem(cell, dtype=torch.float64):
    torch.manual_seed(3)
    layer = hg.Recurrent(cell, 3, 4, num_layers=2, bidirectional=True, dropout=0.0, dtype=dtype)
    x = torch.randn(6, 3, 3, dtype=dtype, requires_grad=True)
    lengths = torch.tensor([4, 0, 6])
    reset = (2 * torch.arange(6)[:, None] + torch.arange(3)) % 3 == 0
    return layer, x, lengths, reset


def run(function, layer, x, lengths, reset):
    """Everything the layer gives and all its gradients, by name."""
    output, state = function(x, None, lengths=lengths, reset=reset)
    states = dict(zip(layer.cell.state_names, state if isinstance(state, tuple) else (state,), strict=True))
    loss = (output**2).sum() + sum((value**3).sum() for value in states.values())
    variables = {"input": x, **dict(layer.named_parameters())}
    gradients = torch.autograd.grad(loss, list(variables.values()))
    found = {"output": output, **{f"final_{key}": value for key, value in states.items()}}
    found |= {f"d_{key}": value for key, value in zip(variables, gradients, strict=True)}
    return {key: value.detach().numpy() for key, value in found.items()}


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.parametrize("cell", ["lstm", Mine()], ids=["lstm", "a user's cell"])
def test_a_compiled_layer_is_one_graph_with_one_node_a_layer_and_direction(cell):
    layer, *given = problem(cell)
    backend = Counting()
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    output, _ = compiled(given[0], None, lengths=given[1], reset=given[2])
    assert (backend.graphs, backend.nodes) == (1, 4)
    assert output.requires_grad


@pytest.mark.parametrize("cell", ["lstm", Mine()], ids=["lstm", "a user's cell"])
def test_a_compiled_layer_computes_the_same_and_has_the_same_gradients(cell):
    layer, *given = problem(cell)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert_all_close(run(compiled, layer, *given), run(layer, layer, *given), EXACT)


def test_the_default_compiler_lays_out_memory_as_the_operator_says():
    """Inductor trusts the shapes and strides that are given without data. A graph of the operator alone, for speed."""
    case = case_of("reset_before_gru", SMALL, "lengths reset reverse no bias")
    call = call_of(case, torch.float64)
    key = operator.key(case.cell)

    @torch.compile(fullgraph=True)
    def compiled(variables):
        result = operator.forward(with_variables(call, variables), key, None)
        return result.output, *result.final

    variables = variables_of(call)
    values = dict(zip(("output", "final_h"), compiled(variables), strict=True))
    expected = truth("reset_before_gru", SMALL, "lengths reset reverse no bias")
    assert_all_close(with_gradients(case, values, variables), expected, EXACT)


def test_a_compiled_layer_takes_other_lengths_without_being_compiled_again():
    layer, x, _, reset = problem("lstm")
    backend = Counting()
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    for lengths in ([4, 0, 6], [1, 2, 3], [6, 6, 6]):
        output, _ = compiled(x, None, lengths=torch.tensor(lengths), reset=reset)
        expected, _ = layer(x, lengths=torch.tensor(lengths), reset=reset)
        torch.testing.assert_close(output, expected)
    assert backend.graphs == 1


def test_the_engine_asked_for_runs_in_compiled_code(monkeypatch):
    ran = []
    for name in engines.names():
        module = engines.engine_named(name)
        run = module.forward
        monkeypatch.setattr(module, "forward", lambda call, name=name, run=run: ran.append(name) or run(call))
    for engine in ("eager", "stock"):
        layer = hg.LSTM(3, 4, engine=engine)
        torch.compile(layer, fullgraph=True, backend="aot_eager")(torch.randn(5, 2, 3))
    assert ran == ["eager", "stock"]


def test_weights_that_change_are_seen_by_compiled_code():
    """Parameters are read at every call: nothing of them is baked into the graph."""
    layer, x, lengths, reset = problem("gru")
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    first, _ = compiled(x, None, lengths=lengths, reset=reset)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(0.5)
    second, _ = compiled(x, None, lengths=lengths, reset=reset)
    expected, _ = layer(x, None, lengths=lengths, reset=reset)
    torch.testing.assert_close(second, expected)
    assert not torch.allclose(first, second)


def test_another_process_can_make_the_cell_of_a_key():
    """An exported program is loaded where no layer was built: its cells are made anew from their keys."""
    cell = cells.get("greff_cifg")
    known = dict(operator._CELLS)
    name = operator.key(cell)
    operator._CELLS.clear()
    try:
        assert operator.cell_of(name) == cell
        with pytest.raises(RuntimeError, match="cannot be made in this process"):
            operator.cell_of("nowhere:Cell {}")
    finally:
        operator._CELLS.update(known)
