"""The printed equations: as the papers have them, and computing what the cell computes."""

import re

import pytest
from comparing import assert_all_close
from graph.one_step import STRANGE, OneStep
from reference.cases import CELLS
from tolerances import TOLERANCE
from torch import float64

from headgate.cells import Cell, Gates, State, exp, log, mean, relu, sigmoid, sqrt, tanh
from headgate.cells.operations import positive
from headgate.graph import equations
from headgate.graph.latex import symbol

ALL = {**CELLS, **STRANGE}

LSTM_GATES = [
    r"i_t = \sigma\left(W_i x_t + b_i + U_i h_{t-1} + b'_i\right)",
    r"f_t = \sigma\left(W_f x_t + b_f + U_f h_{t-1} + b'_f\right)",
    r"g_t = \tanh\left(W_g x_t + b_g + U_g h_{t-1} + b'_g\right)",
    r"o_t = \sigma\left(W_o x_t + b_o + U_o h_{t-1} + b'_o\right)",
]
GRU_GATES = [
    r"r_t = \sigma\left(W_r x_t + b_r + U_r h_{t-1} + b'_r\right)",
    r"z_t = \sigma\left(W_z x_t + b_z + U_z h_{t-1} + b'_z\right)",
]
EXACT = {
    "lstm": [*LSTM_GATES, r"c_t = f_t \odot c_{t-1} + i_t \odot g_t", r"h_t = o_t \odot \tanh\left(c_t\right)"],
    "lstmp": [
        *LSTM_GATES,
        r"c_t = f_t \odot c_{t-1} + i_t \odot g_t",
        r"h_t = U_r \left(o_t \odot \tanh\left(c_t\right)\right)",
    ],
    "peephole_lstm": [
        r"i_t = \sigma\left(W_i x_t + b_i + U_i h_{t-1} + b'_i + p_i \odot c_{t-1}\right)",
        r"f_t = \sigma\left(W_f x_t + b_f + U_f h_{t-1} + b'_f + p_f \odot c_{t-1}\right)",
        r"g_t = \tanh\left(W_g x_t + b_g + U_g h_{t-1} + b'_g\right)",
        r"c_t = f_t \odot c_{t-1} + i_t \odot g_t",
        r"o_t = \sigma\left(W_o x_t + b_o + U_o h_{t-1} + b'_o + p_o \odot c_t\right)",
        r"h_t = o_t \odot \tanh\left(c_t\right)",
    ],
    "gru": [
        *GRU_GATES,
        r"n_t = \tanh\left(W_n x_t + b_n + r_t \odot \left(U_n h_{t-1} + b'_n\right)\right)",
        r"h_t = \left(1 - z_t\right) \odot n_t + z_t \odot h_{t-1}",
    ],
    "reset_before_gru": [
        *GRU_GATES,
        r"n_t = \tanh\left(W_n x_t + b_n + U_n \left(r_t \odot h_{t-1}\right) + b'_n\right)",
        r"h_t = \left(1 - z_t\right) \odot n_t + z_t \odot h_{t-1}",
    ],
    "rnn": [r"h_t = \tanh\left(W_h x_t + b_h + U_h h_{t-1} + b'_h\right)"],
    "relu_rnn": [r"h_t = \operatorname{relu}\left(W_h x_t + b_h + U_h h_{t-1} + b'_h\right)"],
}


@pytest.mark.parametrize("name", EXACT)
def test_the_lines_are_those_of_the_paper(name):
    assert equations(CELLS[name]) == EXACT[name]


@pytest.mark.parametrize("name", ALL)
def test_every_gate_and_every_state_has_its_line(name):
    cell = ALL[name]
    _, gates = OneStep(cell).run()
    left = [line.partition(" = ")[0] for line in equations(cell)]
    assert len(left) == len(set(left))
    means = {rf"\mu_{k}" for k in range(1, 1 + sum(name.startswith(r"\mu") for name in left))}
    assert bool(means) == ("layer_norm" in cell.name)
    assert set(left) - means == {f"{symbol(name)}_t" for name in (*gates, *cell.state_names)}


@pytest.mark.parametrize("name", ALL)
def test_a_line_uses_only_what_stands_above_it(name):
    known = set()
    for line in equations(ALL[name]):
        left, _, right = line.partition(" = ")
        assert set(re.findall(r"(?:\\mathrm\{\w+\}|\b\w)_t\b", right)) - {"x_t"} <= known
        assert set(re.findall(r"\\mu_\w+", right)) <= known
        known.add(left)


@pytest.mark.parametrize("name", ALL)
def test_brackets_and_braces_are_balanced(name):
    for line in equations(ALL[name]):
        assert line.count(r"\left(") == line.count(r"\right)") == line.count("(")
        depth = 0
        for mark in re.findall(r"[{}]", line):
            depth += 1 if mark == "{" else -1
            assert depth >= 0
        assert depth == 0


@pytest.mark.parametrize("name", ALL)
def test_biases_stand_with_the_blocks_that_have_them_and_no_others(name):
    text = "\n".join(equations(ALL[name]))
    for matrix in ALL[name].recurrent:
        for block in matrix.block_names:
            short = block.replace("_", "")
            index = f"{{{short}}}" if len(short) > 1 else short
            assert f"U_{index} " in text
            assert (f"b'_{index}" in text) == matrix.bias


# --- the lines read back and computed ---------------------------------------------------------------------------


class Product:
    """`U_i` as an operand that binds more tightly than any other: its product is written `U_i ** v`."""

    def __init__(self, matrix):
        self.matrix = matrix

    def __pow__(self, vector):
        return vector @ self.matrix.T


def as_python(latex):
    """One side of an equation as a Python expression with the same precedences."""
    latex = latex.replace(r"\_", "_")
    latex = re.sub(r" \\times 10\^\{(-?\d+)\}", r"e\1", latex)
    while r"\frac" in latex:
        start = latex.index(r"\frac")
        above, middle = braced(latex, start + len(r"\frac"))
        below, end = braced(latex, middle)
        latex = f"{latex[:start]}(({above})/({below})){latex[end:]}"
    latex = re.sub(r"\\(?:operatorname|mathrm)\{(\w+)\}", r"\1", latex)
    latex = re.sub(r"_\{t-1\}", "_old", latex)
    latex = re.sub(r"_\{(\w+)\}", r"_\1", latex)
    latex = re.sub(r"W_(\w+) x_t", r"Wx_\1", latex).replace("b'_", "recurrent_b_")
    latex = re.sub(r"(U_\w+) ", r"\1 ** ", latex)
    latex = latex.replace(r"\left(", "(").replace(r"\right)", ")").replace(r"\odot", "*").replace("\\,", "*")
    return latex.replace("\\", "")


def braced(text, start):
    """The text within the braces that open at `start`, and where they close."""
    assert text[start] == "{"
    depth = 0
    for end in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            return text[start + 1 : end], end + 1
    raise AssertionError(f"no closing brace in {text[start:]}")


def computed(step, lines):
    """All left sides, from the lines alone; W x + b is one number here, so b is zero."""
    short = {block: block.replace("_", "") for block in step.matrix}
    numbers = {"sigma": sigmoid, "tanh": tanh, "relu": relu, "exp": exp, "log": log, "sqrt": sqrt, "positive": positive}
    numbers |= {f"Wx_{gate}": value for gate, value in step.x.items()} | {f"b_{gate}": 0.0 for gate in step.x}
    numbers |= {f"U_{short[block]}": Product(matrix) for block, matrix in step.matrix.items()}
    numbers |= {f"recurrent_b_{short[block]}": bias for block, bias in step.bias.items()}
    numbers |= {f"{state}_old": value for state, value in step.s.items()}
    numbers |= {f"p_{vector.replace('_', '')}": value for vector, value in step.p.items()}
    numbers |= {f"m_{state}": value for state, value in step.m.items()} | {"mean": mean}
    found = {}
    for line in lines:
        left, right = map(as_python, line.split(" = "))
        found[left] = numbers[left] = eval(right, {}, numbers)
    return found


class Precedence(Cell):
    """Nested as no cell is: everywhere a missing bracket would change the number."""

    gates = "a b"
    states = "h long_name"

    def step(self, x, U, s):
        a = x.a - (s.h - U.a(s.h)) - (s.h + s.long_name)
        b = (x.b + 1.5) * (2.0 - (a - s.h)) / (U.b(s.h) - a * (a + 1.0))
        c = 2.0 * (a - b) - (-(a + b)) * s.h - (a - b) / (a + 3.0) * b
        return State(h=c - (a * (b / (c + a))), long_name=tanh(-(a - c)) * -(c - 1.0)), Gates(b=b)


@pytest.mark.parametrize("name", [*ALL, "precedence"])
def test_the_printed_lines_compute_what_the_step_computes(name):
    step = OneStep(Precedence() if name == "precedence" else ALL[name])
    state, gates = step.run()
    expected = {as_python(f"{symbol(name)}_t"): value for name, value in {**gates, **state}.items()}
    found = {name: value for name, value in computed(step, equations(step.cell)).items() if name[:3] != "mu_"}
    assert_all_close(found, expected, TOLERANCE["restated", float64])


def test_a_printed_line_without_its_brackets_computes_something_else():
    step = OneStep(CELLS["gru"])
    lines = [line.replace(r"\left(1 - z_t\right)", "1 - z_t") for line in equations(step.cell)]
    state, gates = step.run()
    expected = {f"{name}_t": value for name, value in {**gates, **state}.items()}
    with pytest.raises(AssertionError, match="h_t: relative error"):
        assert_all_close(computed(step, lines), expected, TOLERANCE["restated", float64])


def test_names_become_symbols():
    assert symbol("h") == "h"
    assert symbol("long_name") == r"\mathrm{long\_name}"
    assert r"\mathrm{long\_name}_t = " in equations(Precedence())[-1]
