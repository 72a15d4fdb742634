"""The printed C++ in csrc/cells: as the equations are now, and nothing beside it."""

from pathlib import Path

import pytest
from engines.mutant_cells import MinusLSTM

from headgate import cells
from headgate.graph.cpp import cpp
from headgate.graph.printed import print_all, printed
from headgate.graph.program import program

FOLDER = Path(__file__).resolve().parents[2] / "csrc" / "cells"


@pytest.mark.parametrize("cell", printed(), ids=printed().values())
def test_what_is_printed_is_not_stale(cell):
    name = printed()[cell]
    kept = (FOLDER / f"{name}.cpp").read_text()
    assert kept == cpp(cell, name), "print anew: python -m headgate.graph.printed csrc/cells"


def test_nothing_is_left_of_cells_that_are_no_more():
    assert {path.stem for path in FOLDER.glob("*.cpp")} == set(printed().values())


def test_a_changed_equation_is_seen():
    assert cpp(MinusLSTM(), "lstm").partition("\n")[2] != cpp(cells.get("lstm"), "lstm").partition("\n")[2]


def test_printing_writes_what_differs_and_removes_what_is_gone(tmp_path):
    print_all(tmp_path)
    (tmp_path / "gone.cpp").write_text("")
    (tmp_path / "gru.cpp").write_text("stale")
    untouched = (tmp_path / "lstm.cpp").stat().st_mtime_ns
    print_all(tmp_path)
    assert not (tmp_path / "gone.cpp").exists()
    assert (tmp_path / "gru.cpp").read_text() == cpp(cells.get("gru"), "gru")
    assert (tmp_path / "lstm.cpp").stat().st_mtime_ns == untouched


@pytest.mark.parametrize(
    ("name", "forward", "backward"),
    [
        ("lstm", [(1, (0,))], [(0, ()), (1, (0,))]),
        ("reset_before_gru", [(1, (0,)), (2, (1,))], [(0, ()), (1, (1,)), (2, (0,))]),
        ("greff_fgr", [(1, (0, 1, 2, 3))], [(0, ()), (1, (0, 1, 2, 3))]),
    ],
)
def test_passes_follow_the_products(name, forward, backward):
    steps = program(cells.get(name))
    assert [(item.level, item.products) for item in steps.forward.passes] == forward
    assert [(item.level, item.products) for item in steps.backward.passes] == backward


def test_a_value_that_two_passes_need_is_kept_between_them():
    """The reset-before GRU's z is made before the second product and used after it."""
    steps = program(cells.get("reset_before_gru"))
    z = steps.graph.gates["z"]
    assert z in steps.forward.kept
    assert next(s for item in steps.forward.passes for s in item.stores if s.value is z).always


def test_the_derivative_of_relu_reads_the_new_state_only():
    steps = program(cells.get("relu_rnn"))
    assert steps.forward.kept == ()
    assert not steps.backward.reads_x
