"""A step as a network of coefficients and matrices: assembled again, it must be the Jacobian."""

import numpy as np
import pytest
from comparing import assert_all_close
from graph.one_step import STRANGE, OneStep
from reference.cases import CELLS
from tolerances import TOLERANCE
from torch import float64

from headgate.graph import evaluate, linearise, trace
from headgate.graph import expression as ex
from headgate.graph.gradient import DERIVATIVES

RESTATED, TRACED = TOLERANCE["restated", float64], TOLERANCE["traced", float64]
ALL = {**CELLS, **STRANGE}


def one_step(name):
    return OneStep(ALL[name], O=3 if ALL[name].produces_projection else None)


def coefficients(step):
    """All coefficients as numbers, [H] each, by point and by what it depends on."""
    linear = linearise(step.cell)
    pairs = [(point, end) for point in linear.points for end in linear.coefficient[point]]
    found = evaluate([linear.coefficient[u][v] for u, v in pairs], step.values, step.multiply)
    return {pair: np.ravel(value) for pair, value in zip(pairs, found, strict=True)}


def assembled(step):
    """The Jacobian put together from coefficients and matrices, and nothing else."""
    linear, numbers = linearise(step.cell), coefficients(step)
    sizes = {name: value.shape[1] for name, value in step.s.items()}
    jacobian = {step.graph.s(name): {name: np.eye(size)} for name, size in sizes.items()}

    def of(node):
        """d(node)/d(old states), by state; a leaf that is no state has none."""
        if node not in jacobian and node.kind == "product":
            jacobian[node] = {name: step.matrix[node.label] @ J for name, J in of(node.arguments[0]).items()}
        if node not in jacobian and node.kind == "mean":
            jacobian[node] = {}
            for argument in node.arguments:
                for name, J in of(argument).items():
                    part = np.tile(J.mean(0) / len(node.arguments), (len(J), 1))
                    jacobian[node][name] = jacobian[node].get(name, 0.0) + part
        return jacobian.get(node, {})

    for point in linear.points:
        total = {}
        for end in linear.coefficient[point]:
            for name, J in of(end).items():
                width = numbers[point, end] if numbers[point, end].size > 1 else np.full(len(J), numbers[point, end])
                total[name] = total.get(name, 0.0) + width[:, None] * J
        jacobian[point] = total
    shapes = {(new, old): (sizes[new], sizes[old]) for new in sizes for old in sizes}
    return {pair: of(step.graph.states[pair[0]]).get(pair[1], np.zeros(shape)) for pair, shape in shapes.items()}


@pytest.mark.parametrize("name", ALL)
def test_coefficients_and_matrices_make_up_the_jacobian(name):
    step = one_step(name)
    assert_all_close(assembled(step), step.jacobian(), TRACED)


@pytest.mark.parametrize("kind", ["tanh", "sigmoid", "mul"])
def test_a_wrong_rule_makes_another_jacobian(kind, monkeypatch, fresh_caches):
    step = one_step("lstm")
    monkeypatch.setitem(DERIVATIVES, kind, tuple(lambda y, rule=rule: -rule(y) for rule in DERIVATIVES[kind]))
    with pytest.raises(AssertionError, match=r"\('c', 'h'\): relative error"):
        assert_all_close(assembled(step), step.jacobian(), TRACED)


@pytest.mark.parametrize("name", ALL)
def test_points_come_after_the_points_they_depend_on(name):
    linear = linearise(ALL[name])
    known = set(linear.graph.leaves())
    for point in linear.points:
        for end in linear.coefficient[point]:
            if end is not point:
                assert end in known or set(end.arguments) <= known
        known.add(point)
    assert set(linear.graph.states.values()) <= known


@pytest.mark.parametrize("name", ALL)
def test_a_coefficient_of_zero_is_left_out(name):
    assert not [c for ends in linearise(ALL[name]).coefficient.values() for c in ends.values() if c is ex.ZERO]


# --- the closed forms of the literature -------------------------------------------------------------------------


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def named(step, found):
    """Coefficients by short names: a state by its name, U.i(...) as "U.i", s.c as "s.c", the vector of U.n as "v"."""
    names = {node: name for name, node in step.graph.states.items()}
    names |= {node: f"U.{block}" for block, node in step.graph.products.items() if node not in names}
    names |= {node: ".".join(node.label) for node in step.graph.leaves() if node not in names}
    return {f"{names.get(u, 'v')} by {names.get(v, 'v')}": value for (u, v), value in found.items()}


def without_input(found):
    """The coefficients that carry the state: not those of x and p, nor of points that stand for themselves."""
    pairs = {name: name.split(" by ") for name in found}
    return {name: found[name] for name, (u, v) in pairs.items() if u != v and v[:2] not in ("x.", "p.")}


def preactivations(step, memory=None):
    """a = W x + b + U h + b' for each gate, plus p c for the peepholes, as [H]; `memory` is what o sees."""
    c = {gate: step.s.get("c", 0.0) for gate in step.x} | ({} if memory is None else {"o": memory})
    return {
        gate: (step.x[gate] + step.U[gate](step.s.h) + (step.p[gate] * c[gate] if gate in step.p else 0.0))[0]
        for gate in step.x
    }


def lstm_closed_form(step, i, f, g, o, c, c_new):
    t = np.tanh(c_new)
    return {
        "c by s.c": f,
        "c by U.i": g * i * (1 - i),
        "c by U.f": c * f * (1 - f),
        "c by U.g": i * (1 - g**2),
        "h by c": o * (1 - t**2),
        "h by U.o": t * o * (1 - o),
    }


def lstm_numbers(step):
    c = step.s["c"][0]
    a = preactivations(step)
    i, f, g = sigmoid(a["i"]), sigmoid(a["f"]) if "f" in a else 1 - sigmoid(a["i"]), np.tanh(a["g"])
    c_new = f * c + i * g
    o = sigmoid(preactivations(step, c_new)["o"])
    return i, f, g, o, c, c_new


def test_the_lstm():
    """F = D(f), K = K^f + K^i + K^g, R = D(tanh(c) o (1 - o)) U_o, Q = D(o (1 - tanh(c)^2))."""
    step = one_step("lstm")
    found = named(step, coefficients(step))
    assert_all_close(without_input(found), lstm_closed_form(step, *lstm_numbers(step)), RESTATED)
    for gate in "ifg":
        np.testing.assert_array_equal(found[f"c by U.{gate}"], found[f"c by x.{gate}"])


def test_the_lstm_jacobian_in_blocks():
    """J = [[F, K], [Q F, Q K + R]] in (c, h), and log |det J| as a sum over units and one over U_o."""
    step = one_step("lstm")
    closed = lstm_closed_form(step, *lstm_numbers(step))
    F, Q = np.diag(closed["c by s.c"]), np.diag(closed["h by c"])
    K = sum(np.diag(closed[f"c by U.{gate}"]) @ step.matrix[gate] for gate in "ifg")
    R = np.diag(closed["h by U.o"]) @ step.matrix["o"]
    blocks = {("c", "c"): F, ("c", "h"): K, ("h", "c"): Q @ F, ("h", "h"): Q @ K + R}
    J = assembled(step)
    assert_all_close(J, blocks, TRACED)
    dense = np.block([[J["c", "c"], J["c", "h"]], [J["h", "c"], J["h", "h"]]])
    volume = np.log(closed["c by s.c"]).sum() + np.log(np.abs(closed["h by U.o"])).sum()
    volume += np.linalg.slogdet(step.matrix["o"])[1]
    assert np.linalg.slogdet(dense)[1] == pytest.approx(volume, rel=TRACED)


def test_the_peephole_lstm():
    """The highway is f + c f (1 - f) p_f + g i (1 - i) p_i, no longer within (0, 1)."""
    step = one_step("peephole_lstm")
    i, f, g, o, c, c_new = lstm_numbers(step)
    p = step.p
    closed = lstm_closed_form(step, i, f, g, o, c, c_new)
    closed["c by s.c"] = f + c * f * (1 - f) * p.f + g * i * (1 - i) * p.i
    closed["h by c"] = o * (1 - np.tanh(c_new) ** 2) + np.tanh(c_new) * o * (1 - o) * p.o
    assert_all_close(without_input(named(step, coefficients(step))), closed, RESTATED)


def test_the_coupled_lstm():
    """With f = 1 - i the gate's path is D((g - c) i (1 - i)) U_i."""
    step = one_step("cifg_lstm")
    i, f, g, o, c, c_new = lstm_numbers(step)
    closed = lstm_closed_form(step, i, f, g, o, c, c_new)
    del closed["c by U.f"]
    closed["c by U.i"] = (g - c) * i * (1 - i)
    assert_all_close(without_input(named(step, coefficients(step))), closed, RESTATED)


def test_the_projected_lstm():
    """Q and R of the LSTM act on the vector that is projected, and h is that product itself."""
    step = one_step("lstmp")
    closed = lstm_closed_form(step, *lstm_numbers(step))
    closed = {name.replace("h by", "v by"): value for name, value in closed.items()}
    assert step.graph.states["h"] is step.graph.products["r"]
    assert_all_close(without_input(named(step, coefficients(step))), closed, RESTATED)


def test_the_gru_with_its_reset_after_the_product():
    """J = D(z) + D((h - n) z (1 - z)) U_z + D((1 - z)(1 - n^2)) [D(r) U_n + D(q r (1 - r)) U_r]."""
    step = one_step("gru")
    h, a = step.s.h[0], preactivations(step)
    q = step.U.n(step.s.h)[0]
    r, z = sigmoid(a["r"]), sigmoid(a["z"])
    n = np.tanh(step.x.n[0] + r * q)
    closed = {
        "h by s.h": z,
        "h by U.z": (h - n) * z * (1 - z),
        "h by U.n": (1 - z) * (1 - n**2) * r,
        "h by U.r": (1 - z) * (1 - n**2) * q * r * (1 - r),
    }
    found = without_input(named(step, coefficients(step)))
    assert_all_close(found, closed, RESTATED)


def test_the_gru_with_its_reset_before_the_product():
    """The last bracket is U_n [D(r) + D(h r (1 - r)) U_r]: between it and h stands a matrix."""
    step = one_step("reset_before_gru")
    h, a = step.s.h[0], preactivations(step)
    r, z = sigmoid(a["r"]), sigmoid(a["z"])
    n = np.tanh(step.x.n[0] + step.U.n(r[None] * step.s.h)[0])
    closed = {
        "h by s.h": z,
        "h by U.z": (h - n) * z * (1 - z),
        "h by U.n": (1 - z) * (1 - n**2),
        "v by s.h": r,
        "v by U.r": h * r * (1 - r),
    }
    found = without_input(named(step, coefficients(step)))
    assert_all_close(found, closed, RESTATED)


def test_the_plain_network():
    """J = D(1 - h^2) U: no highway at all."""
    step = one_step("rnn")
    h = np.tanh(preactivations(step)["h"])
    found = without_input(named(step, coefficients(step)))
    assert_all_close(found, {"h by U.h": 1 - h**2}, RESTATED)


def test_the_memory_of_a_cell_is_one_of_its_states():
    for cell in CELLS.values():
        assert cell.memory in cell.state_names
        assert trace(cell).states[cell.memory] in linearise(cell).coefficient
