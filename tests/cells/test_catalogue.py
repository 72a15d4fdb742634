"""The catalogue: found by its files, asked by name, and precise about what it does not know."""

import copy
import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from headgate import cells
from headgate.cells import Cell, State, tanh
from headgate.cells.gru import GRU
from headgate.cells.lstm import LSTM
from headgate.cells.rnn import RNN

EVERY_NAME = pytest.mark.parametrize("name", cells.names())


class Plain(Cell):
    """A user's cell without switches."""

    gates = "a"

    def step(self, x, U, s):
        return State(h=tanh(x.a + U.a(s.h)))


def test_names_are_sorted_and_hold_the_classical_ones():
    assert cells.names() == sorted(cells.names())
    assert {"lstm", "gru", "rnn", "peephole_lstm", "cifg_lstm", "reset_before_gru"} <= set(cells.names())


@EVERY_NAME
def test_every_name_gives_a_cell_that_can_say_what_it_is(name):
    cell = cells.get(name)
    assert isinstance(cell, Cell)
    assert cell.__doc__ and type(cell).__doc__ != Cell.__doc__
    assert cell.gate_names and cell.state_names and cell.memory in cell.state_names
    assert set(cell.timescale) <= set(cell.gate_names) and set(cell.timescale.values()) <= {1, -1}


def test_no_two_names_are_one_cell():
    found = [cells.get(name) for name in cells.names()]
    assert len(set(found)) == len(found)


def test_a_cell_is_had_by_name_class_or_object():
    assert cells.get("lstm") == cells.get(LSTM) == cells.get(LSTM()) == LSTM()
    plain = Plain()
    assert cells.get(plain) is plain
    assert isinstance(cells.get(Plain), Plain)


def test_switches_are_set_on_whatever_was_named():
    assert cells.get("lstm", peephole=True) == cells.get("peephole_lstm") == LSTM(peephole=True)
    assert cells.get(LSTM, coupled=True) == cells.get("cifg_lstm")
    assert cells.get("peephole_lstm", coupled=True) == LSTM(peephole=True, coupled=True)
    assert cells.get("peephole_lstm", peephole=False) == cells.get("lstm")
    assert cells.get(GRU(), reset="before") == cells.get("reset_before_gru")


@pytest.mark.parametrize(
    ("given", "switches", "error", "message"),
    [
        ("ltsm", {}, KeyError, r"no cell named 'ltsm'; did you mean 'lstm'\? Known: cifg_lstm, .*lstm"),
        ("transformer", {}, KeyError, r"no cell named 'transformer'\. Known: cifg_lstm"),
        (3, {}, TypeError, r"a cell is a name, a Cell or its class, but got 3; see headgate\.cells\.names\(\)"),
        (int, {}, TypeError, "a cell is a name, a Cell or its class, but got the class int; see"),
        ("lstm", {"peepholes": True}, TypeError, r"LSTM has no switch 'peepholes'; it has peephole, coupled, "),
        (Plain, {"wide": 2}, TypeError, "Plain has no switch 'wide'; it has none"),
        ("gru", {"reset": "never"}, ValueError, r"GRU: reset='never' is not known; choose 'after' .* or 'before'"),
        ("rnn", {"nonlinearity": "sin"}, ValueError, "Unknown nonlinearity 'sin'. Select from 'tanh' or 'relu'"),
        (
            "lstm",
            {"input_activation": "relu"},
            ValueError,
            "input_activation='relu' is not known; choose one of tanh, identity",
        ),
        ("lstm", {"output_activation": None}, ValueError, "output_activation=None is not known"),
    ],
    ids=lambda value: str(value) if isinstance(value, (str, int, dict)) else "",
)
def test_what_is_not_there_is_refused_by_name(given, switches, error, message):
    with pytest.raises(error, match=message):
        cells.get(given, **switches)


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        (LSTM(), "LSTM"),
        (LSTM(peephole=True), "LSTM(peephole=True)"),
        (LSTM(coupled=True, output_activation="identity"), "LSTM(coupled=True, output_activation='identity')"),
        (GRU(reset="before"), "GRU(reset='before')"),
        (RNN(), "RNN"),
        (Plain(), "Plain"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_cell_is_called_by_its_class_and_what_differs_from_the_default(cell, name):
    assert cell.name == name


@EVERY_NAME
def test_a_name_read_back_is_the_cell(name):
    cell = cells.get(name)
    written = cell.name if cell.name.endswith(")") else f"{cell.name}()"
    assert eval(written, {"LSTM": LSTM, "GRU": GRU, "RNN": RNN, **vars(sys.modules[type(cell).__module__])}) == cell


@EVERY_NAME
def test_cells_are_values(name):
    """Equal by their switches, so usable as a key; the same after a pickle, and their own deep copy."""
    cell = cells.get(name)
    used = cell.gate_names, cell.state_names, cell.vector_names, cell.parameter_shapes(2, 3, 3)
    again = pickle.loads(pickle.dumps(cell))
    assert again == cell and hash(again) == hash(cell) and {cell: 1}[again] == 1
    assert (again.gate_names, again.state_names, again.vector_names, again.parameter_shapes(2, 3, 3)) == used
    assert copy.deepcopy(cell) is cell and copy.deepcopy([cell])[0] is cell
    assert copy.copy(cell) == cell
    others = [cells.get(other) for other in cells.names() if other != name]
    assert cell not in others


def test_a_cell_cannot_be_changed():
    with pytest.raises(AttributeError, match="peephole"):
        cells.get("lstm").peephole = True


# --- adding a cell is adding a file -----------------------------------------------------------------------------

NEW_FILE = """
from dataclasses import dataclass
from headgate.cells.cell import Cell, State
from headgate.cells.operations import tanh

@dataclass(frozen=True)
class Added(Cell):
    gates = "a"
    def step(self, x, U, s):
        return State(h=tanh(x.a + U.a(s.h)))

NAMES = {"added": Added()}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder whose files count as files of headgate.cells."""
    before = set(sys.modules)
    monkeypatch.setattr(cells, "__path__", [*cells.__path__, str(tmp_path)])
    cells._catalogue.cache_clear()
    yield tmp_path
    cells._catalogue.cache_clear()
    for name in set(sys.modules) - before:
        del sys.modules[name]
        delattr(cells, name.rpartition(".")[2])


def test_a_file_beside_the_others_is_found(folder):
    (folder / "added_for_a_test.py").write_text(NEW_FILE)
    assert "added" in cells.names() and cells.names() == sorted(cells.names())
    assert cells.get("added").name == "Added"


def test_two_files_with_one_name_are_refused(folder):
    (folder / "added_for_a_test.py").write_text(NEW_FILE)
    (folder / "added_once_more.py").write_text(NEW_FILE)
    with pytest.raises(ValueError, match="two files name a cell 'added'"):
        cells.names()


def test_the_catalogue_is_as_before():
    assert "added" not in cells.names()


# --- a user's own file ------------------------------------------------------------------------------------------

USERS_FILE = """
from __future__ import annotations

from dataclasses import dataclass

from headgate.cells import Cell, Gates, State, sigmoid, tanh


@dataclass(frozen=True)
class Mine(Cell):
    slope: float = 1.0

    gates = "f n"

    def step(self, x, U, s):
        f = sigmoid(self.slope * (x.f + U.f(s.h)))
        return State(h=f * s.h + (1.0 - f) * tanh(x.n + U.n(s.h))), Gates(f=f)


steep = Mine(slope=4.0)
text = 3
"""


@pytest.fixture
def users_file(tmp_path):
    path = tmp_path / "my_cells.py"
    path.write_text(USERS_FILE)
    return path


def test_a_cell_is_loaded_from_a_users_file_by_class_or_object(users_file):
    assert cells.load(f"{users_file}:Mine").name == "Mine"
    steep = cells.load(f"{users_file}:steep")
    assert steep.name == "Mine(slope=4.0)" and steep.gate_names == ("f", "n")


def test_a_loaded_cell_can_be_pickled(users_file):
    steep = cells.load(f"{users_file}:steep")
    assert pickle.loads(pickle.dumps(steep)) == steep


@pytest.mark.parametrize(
    ("where", "error", "message"),
    [
        ("my_cells.py", ValueError, r"named as file\.py:Class, but 'my_cells\.py' is not a file and a name"),
        ("{folder}/my_cells.py", ValueError, r"is not a file and a name"),
        ("{folder}/absent.py:Mine", ValueError, r"absent\.py:Mine' is not a file and a name"),
        ("{folder}:Mine", ValueError, "is not a file and a name"),
        ("{folder}/my_cells.py:", ValueError, "is not a file and a name"),
        ("{folder}/my_cells.py:Yours", ValueError, r"my_cells\.py has no 'Yours'; name the class of your cell"),
        ("{folder}/my_cells.py:text", TypeError, "a cell is a name, a Cell or its class, but got 3"),
        ("{folder}/my_cells.py:sigmoid", TypeError, "a cell is a name, a Cell or its class"),
        ("{folder}/notes.txt:Mine", ValueError, r"notes\.txt cannot be read as Python; give a \.py file"),
    ],
    ids=["no name", "file alone", "no file", "folder", "empty name", "no such class", "number", "function", "text"],
)
def test_what_cannot_be_loaded_is_refused_by_name(users_file, where, error, message):
    users_file.with_name("notes.txt").write_text("Mine")
    with pytest.raises(error, match=message):
        cells.load(where.format(folder=users_file.parent))


# --- what importing costs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["headgate.cells", "headgate.cells.lstm", "headgate.graph"])
def test_cells_and_graph_need_neither_torch_nor_numpy(module):
    lines = [
        "import sys",
        f"import {module}",
        "from headgate import cells",
        "assert cells.get('lstm').parameter_shapes(2, 3, 3)['weight_hh'] == (12, 3)",
        "assert 'lstm' in cells.names()",
        "print(sorted({'torch', 'numpy'} & set(sys.modules)))",
    ]
    source = Path(cells.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        env={"PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_a_users_dataclass_has_switches_like_any_other():
    @dataclass(frozen=True)
    class Switched(Plain):
        deep: bool = False

    assert cells.get(Switched, deep=True).name == "Switched(deep=True)"
