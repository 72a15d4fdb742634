"""torch.compile of a model that holds our layers: one graph, the same numbers, the same gradients."""

import pytest
import torch
from comparing import assert_all_close
from nn.layer_runs import CELLS, as_hx, normal, states_for, tolerance, values, values_and_gradients
from torch import nn

import headgate as hg

# torch's compiler uses parts of torch that torch has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def _forget_what_was_compiled():
    torch.compiler.reset()


class Model(nn.Module):
    """A reader and a head, the way a layer is used."""

    def __init__(self, layer, dtype=torch.float64):
        super().__init__()
        self.layer = layer
        self.head = nn.Linear(layer.output_size * layer.num_directions, 2, dtype=dtype)

    def forward(self, input, hx=None, lengths=None, reset=None):
        output, state = self.layer(input, hx, lengths=lengths, reset=reset)
        return self.head(output), state


def compiled(model, backend="aot_eager", **options):
    return torch.compile(model, fullgraph=True, backend=backend, **options)


def test_the_default_backend():
    model = Model(hg.LSTM(2, 4, dtype=torch.float32), dtype=torch.float32)
    input, states = normal(5, 3, 2, dtype=torch.float32), states_for(model.layer, 3)
    expected = values_and_gradients(model, model, input, states)
    actual = values_and_gradients(torch.compile(model, fullgraph=True), model, input, states)
    assert_all_close(actual, expected, tolerance(model.layer))


def test_every_layer_and_direction_with_all_gradients():
    model = Model(hg.LSTM(2, 4, 2, bidirectional=True, dtype=torch.float64))
    input, states = normal(5, 3, 2), states_for(model.layer, 3)
    expected = values_and_gradients(model, model, input, states)
    run = compiled(model)
    assert_all_close(values_and_gradients(run, model, input, states), expected, tolerance(model.layer))
    assert_all_close(
        values_and_gradients(run, model, input), values_and_gradients(model, model, input), tolerance(model.layer)
    )


@pytest.mark.parametrize("masks", ["lengths", "reset", "both"])
def test_lengths_and_reset(masks):
    model = Model(hg.GRU(2, 4, bidirectional=True, dtype=torch.float64))
    lengths = None if masks == "reset" else torch.tensor([3, 0, 5])
    reset = None if masks == "lengths" else normal(5, 3) > 0.5
    run = compiled(model)
    input, states = normal(5, 3, 2), states_for(model.layer, 3)
    expected = values_and_gradients(lambda x, hx: model(x, hx, lengths, reset), model, input, states)
    actual = values_and_gradients(lambda x, hx: run(x, hx, lengths, reset), model, input, states)
    assert_all_close(actual, expected, tolerance(model.layer, lengths=True, reset=True))


@pytest.mark.parametrize("lengths", [[9, 2, 1], [5, -1, 3]], ids=["too-long", "negative"])
@pytest.mark.parametrize("peephole", [False, True], ids=["stock", "eager"])
def test_wrong_lengths_are_refused_in_compiled_code_too(peephole, lengths):
    """The tracer cannot look at numbers, so it is the operator that has to."""
    run = compiled(hg.LSTM(2, 4, dtype=torch.float64, peephole=peephole))
    with pytest.raises(ValueError, match=r"lengths .* 0\.\.5"):
        run(normal(5, 3, 2), lengths=torch.tensor(lengths))


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_is_one_node_a_layer_and_direction(cell):
    """Also when it is compiled: T steps in the graph would take minutes to compile, and again for every T."""
    graphs = []

    def count(graph, example_inputs):
        graphs.append(graph)
        return graph

    layer = hg.Recurrent(cell, 2, 4, 2, bidirectional=True, dtype=torch.float64)
    input, hx = normal(5, 3, 2), as_hx(states_for(layer, 3))
    actual = values(torch.compile(layer, fullgraph=True, backend=count), input, hx)
    assert_all_close(actual, values(layer, input, hx), tolerance(layer))
    targets = [str(node.target) for graph in graphs for node in graph.graph.nodes]
    assert sum("recurrent" in target and "headgate" in target for target in targets) == 4
    assert not any("sigmoid" in target or "tanh" in target for target in targets)


def test_a_changed_weight_is_used_without_compiling_again():
    layer = hg.LSTM(2, 4, dtype=torch.float64)
    run, input = compiled(layer), normal(5, 3, 2)
    before = values(run, input)
    with torch.no_grad():
        layer.weight_hh_l0.mul_(-2.0)
    actual = values(run, input)
    assert not torch.equal(actual["output"], before["output"])
    assert_all_close(actual, values(layer, input), tolerance(layer))


def test_two_cells_of_one_family_are_not_mistaken_for_each_other():
    """Compiled code names a cell by a key; different switches must have different ones."""
    plain, coupled = (
        hg.Recurrent("peephole_lstm", 2, 4, dtype=torch.float64, coupled=coupled) for coupled in (False, True)
    )
    for layer in (plain, coupled):
        input = normal(5, 3, 2)
        assert_all_close(values(compiled(layer), input), values(layer, input), tolerance(layer))


def test_dynamic_shapes_need_no_graph_of_their_own():
    layer = hg.LSTM(2, 4, dtype=torch.float64)
    run = compiled(layer, dynamic=True)
    for T, B in ((5, 3), (7, 4), (6, 2)):
        input = normal(T, B, 2)
        assert_all_close(values(run, input), values(layer, input), tolerance(layer))


def test_dropout_is_drawn_anew_at_every_call():
    layer = hg.LSTM(2, 40, 2, dropout=0.5, dtype=torch.float64)
    run, input = compiled(layer), normal(5, 3, 2)
    assert not torch.equal(run(input)[0], run(input)[0])
    layer.eval()
    assert_all_close(values(run, input), values(layer, input), tolerance(layer))


def test_an_exported_program_gives_the_same():
    model = Model(hg.LSTM(2, 4, dtype=torch.float64)).eval()
    input = normal(5, 3, 2)
    exported = torch.export.export(model, (input,)).module()
    assert_all_close(values(lambda x, _: exported(x), input), values(model, input), tolerance(model.layer))
