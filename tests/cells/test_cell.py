"""What a cell is asked: its names, its parameters, one step; and what it says when they make no sense."""

import copy

import pytest
from torch import nn

from headgate import cells
from headgate.cells import Cell, Gates, Matrix, State, tanh
from headgate.cells.cell import Named


class Ones:
    """`U` for steps on numbers: every block is the identity."""

    def __getattr__(self, block):
        return lambda vector: vector

    __getitem__ = __getattr__


def cell_of(**names):
    return type("Mine", (Cell,), names)()


# --- named values -----------------------------------------------------------------------------------------------


def test_entries_are_attributes_and_keep_their_order():
    state = State(h=1, c=2)
    assert (state.h, state["c"], list(state), dict(state)) == (1, 2, ["h", "c"], {"h": 1, "c": 2})
    assert isinstance(state, Named) and isinstance(state, dict)


@pytest.mark.parametrize("kind", [Named, State, Gates])
def test_an_unknown_name_lists_the_known_ones(kind):
    with pytest.raises(AttributeError, match=rf"^{kind.__name__} has no 'q'; it has h, c\.$"):
        _ = kind(h=1, c=2).q
    with pytest.raises(AttributeError, match=rf"^{kind.__name__} has no 'q'; it has nothing\.$"):
        _ = kind().q


def test_named_values_can_be_copied():
    state = State(h=[1], c=[2])
    again = copy.deepcopy(state)
    assert again == state and type(again) is State and again.h is not state.h


# --- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "asked", "message"),
    [
        ({"gates": "i f i"}, "gate_names", r"Mine\.gates = 'i f i' names something twice; each name stands once"),
        ({"states": "h h"}, "state_names", r"Mine\.states = 'h h' names something twice"),
        ({"vectors": "p p"}, "vector_names", r"Mine\.vectors = 'p p' names something twice"),
        ({"gates": ""}, "gate_names", r"Mine\.gates is empty; name at least one, as in gates = 'h'"),
        ({"states": " "}, "state_names", r"Mine\.states is empty"),
        ({"gates": "i,f"}, "gate_names", r"Mine\.gates: 'i,f' cannot be used as a name; choose a plain letter or word"),
        ({"gates": "2"}, "gate_names", "'2' cannot be used as a name"),
        ({"gates": "items"}, "gate_names", "'items' cannot be used as a name"),
        ({"states": "h get"}, "state_names", "'get' cannot be used as a name"),
        ({"gates": "_a"}, "gate_names", "'_a' cannot be used as a name"),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else "",
)
def test_names_that_cannot_be_meant_are_refused(names, asked, message):
    with pytest.raises(ValueError, match=message):
        getattr(cell_of(**names), asked)


def test_no_vectors_is_the_usual_case():
    assert cell_of(gates="a").vector_names == ()


def test_the_memory_is_the_last_state_unless_the_cell_says_otherwise():
    assert cell_of(gates="a", states="h c m").memory == "m"
    assert cells.get("greff_fgr").state_names == ("h", "c", "i", "f", "o") and cells.get("greff_fgr").memory == "c"


# --- parameters -------------------------------------------------------------------------------------------------

TORCH = {
    "lstm": (nn.LSTM, {}),
    "gru": (nn.GRU, {}),
    "rnn": (nn.RNN, {}),
    "relu_rnn": (nn.RNN, {"nonlinearity": "relu"}),
    "projected lstm": (nn.LSTM, {"proj_size": 3}),
}


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("name", TORCH)
def test_parameters_are_those_of_torch_in_its_order(name, bias):
    kind, options = TORCH[name]
    layer = kind(4, 5, bias=bias, **options)
    expected = [(key.removesuffix("_l0"), tuple(value.shape)) for key, value in layer.named_parameters()]
    cell = cells.get("lstm", projection=True) if "proj_size" in options else cells.get(name)
    assert list(cell.parameter_shapes(4, 5, options.get("proj_size", 5), bias).items()) == expected


def test_peepholes_and_gate_recurrence_come_after_what_torch_has():
    assert list(cells.get("greff_fgr", projection=True).parameter_shapes(4, 5, 3).items()) == [
        ("weight_ih", (20, 4)),
        ("weight_hh", (20, 3)),
        ("bias_ih", (20,)),
        ("bias_hh", (20,)),
        ("weight_gg", (45, 5)),
        ("weight_hr", (3, 5)),
        ("weight_p", (15,)),
    ]


def test_a_matrix_of_ones_own_has_its_own_parameters():
    cell = cell_of(gates="a b", recurrent=(Matrix("hh", "a"), Matrix("cc", "b k", columns="H")), states="h c")
    assert cell.parameter_shapes(4, 5, 3) == {
        "weight_ih": (10, 4),
        "weight_hh": (5, 3),
        "weight_cc": (10, 5),
        "bias_ih": (10,),
        "bias_hh": (5,),
        "bias_cc": (10,),
    }
    assert cell.state_size("h", 5, 3) == 3 and cell.state_size("c", 5, 3) == 5


# --- one step ---------------------------------------------------------------------------------------------------


def test_a_step_may_show_no_gates():
    cell = cell_of(gates="a", step=lambda self, x, U, s: State(h=x.a + U.a(s.h)))
    assert cell(Named(a=1.0), Ones(), State(h=2.0)) == (State(h=3.0), Gates())


def test_a_step_takes_vectors_where_it_asks_for_them():
    cell = cell_of(gates="a", vectors="v", step=lambda self, x, U, s, p: (State(h=p.v * U.a(s.h) + x.a), Gates(a=x.a)))
    assert cell(Named(a=1.0), Ones(), State(h=2.0), Named(v=5.0)) == (State(h=11.0), Gates(a=1.0))


def test_states_come_in_the_order_of_the_class():
    cell = cell_of(gates="a", states="h c", step=lambda self, x, U, s: State(c=x.a, h=s.c))
    state, _ = cell(Named(a=1.0), Ones(), State(h=2.0, c=3.0))
    assert list(state.items()) == [("h", 3.0), ("c", 1.0)]


@pytest.mark.parametrize(
    ("returned", "found"), [(State(h=1), "h"), (State(), "none"), (State(h=1, c=2, m=3), "h, c, m")], ids=str
)
def test_other_states_than_the_class_names_are_refused(returned, found):
    cell = cell_of(gates="a", states="h c", step=lambda self, x, U, s: returned)
    message = rf"Mine\.step returned the states {found}, but the class says states = 'h c'; return State\(h=\.\.\., c="
    with pytest.raises(ValueError, match=message):
        cell(Named(a=1.0), Ones(), State(h=0.0, c=0.0))


def test_a_cell_without_a_step_says_what_to_write():
    with pytest.raises(TypeError, match=r"Mine is a Cell without a step; write step\(self, x, U, s\)"):
        cell_of(gates="a")(Named(a=1.0), Ones(), State(h=0.0), Named())


def test_a_step_runs_on_plain_numbers():
    """A cell can be tried out with nothing installed."""
    state, gates = cells.get("lstm")(Named(i=0.0, f=0.0, g=0.0, o=0.0), Ones(), State(h=0.0, c=4.0), Named())
    assert (gates.f, state.c) == (0.5, 2.0) and state.h == 0.5 * tanh(2.0)


def test_a_function_refuses_what_it_does_not_know():
    with pytest.raises(TypeError, match="tanh: got a value of type str, but it works on NumPy arrays, torch tensors"):
        tanh("0")
