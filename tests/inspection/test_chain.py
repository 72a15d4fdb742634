"""One step's Jacobian applied both ways, against the dense one, which is held against autograd elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from graph.one_step import STRANGE
from inspection.known_runs import EVERY, adjoint_of
from inspection.watching import EXACT, LENGTHS, T, resets
from nn.layer_runs import normal

from headgate.inspection import tangents
from headgate.inspection.chain import FEWEST_STEPS, Chain, normalised, orthonormalised

ALL = {**EVERY, **STRANGE}
DRAWN = {name: cell for name, cell in EVERY.items() if cell.mask_names}


def both_ways(adjoint, rows=None):
    """What a chain makes of three vectors a row at every step, and what the dense Jacobians do."""
    chain = Chain(adjoint, rows)
    vectors = normal(3, chain.active.shape[1], chain.size)
    actual, expected = {}, {}
    for t, b in np.ndindex(chain.active.shape):
        dense = adjoint.jacobian(t, b if rows is None else rows[b])
        if not chain.active[t, b]:
            dense = torch.eye(chain.size, dtype=dense.dtype)
        expected |= {f"push {t} {b}": vectors[:, b] @ dense.T, f"pull {t} {b}": vectors[:, b] @ dense}
        expected[f"dense {t} {b}"] = dense
        actual[f"push {t} {b}"] = chain.push(t, vectors)[:, b]
        actual[f"pull {t} {b}"] = chain.pull(t, vectors)[:, b]
        actual[f"dense {t} {b}"] = chain.dense(t)[b]
    return actual, expected


@pytest.mark.parametrize("cell", ALL.values(), ids=ALL)
def test_every_cell(cell):
    assert_all_close(*both_ways(adjoint_of(cell, 4, 2, seed=3)), EXACT)


@pytest.mark.parametrize("cell", DRAWN.values(), ids=DRAWN)
def test_masks_as_they_were_drawn(cell):
    assert_all_close(*both_ways(adjoint_of(cell, 4, 2, mask_seed=9)), EXACT)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_rows_of_several_lengths_with_resets(reverse):
    adjoint = adjoint_of(EVERY["lstm"], 6, 4, lengths=True, reset=True, reverse=reverse)
    assert_all_close(*both_ways(adjoint), EXACT)
    assert_all_close(*both_ways(adjoint, [3, 1]), EXACT)


def test_a_missing_coefficient_is_caught(monkeypatch):
    """A tangent that skips the output gate."""
    whole = tangents.linearise

    def without(cell):
        found = whole(cell)
        h, o = found.graph.states["h"], found.graph.products["o"]
        ends = {end: part for end, part in found.coefficient[h].items() if end is not o}
        return replace(found, coefficient={**found.coefficient, h: ends})

    monkeypatch.setattr(tangents, "linearise", without)
    with pytest.raises(AssertionError, match="push"):
        assert_all_close(*both_ways(adjoint_of(EVERY["lstm"], 2)), EXACT)


def test_pieces_between_resets():
    chain = Chain(adjoint_of(EVERY["gru"], T, 4))
    chain.active = np.arange(T)[:, None] < np.array(LENGTHS)
    chain.fresh = resets().numpy() & chain.active
    # resets before steps 2 of row 0; 1 and 3 of row 1; 1 of row 3
    assert sorted(chain.piece_lengths()) == [1, 1, 1, 1, 2, 2, 2]


def test_orthonormal_vectors_and_lengths():
    vectors = normal(3, 2, 5)
    Q, R = orthonormalised(vectors)
    eye = torch.eye(3, dtype=torch.float64).expand(2, 3, 3)
    assert_all_close({"Q": torch.einsum("jbs,kbs->bjk", Q, Q)}, {"Q": eye}, EXACT)
    assert_all_close({"Q R": torch.einsum("jbs,bjk->kbs", Q, R)}, {"Q R": vectors}, EXACT)
    assert (R.diagonal(dim1=-2, dim2=-1) > 0).all() and not R.tril(-1).any()
    unit, logs = normalised(1e-250 * vectors)
    assert_all_close({"whole": unit.numpy() * np.exp(logs + 250 * np.log(10))[..., None]}, {"whole": vectors}, EXACT)
    nothing, logs = normalised(torch.zeros(1, 1, 4))
    assert not nothing.any() and logs[0, 0] == -np.inf


def test_a_wide_state_affords_fewer_steps_and_never_too_few():
    small = Chain(adjoint_of(EVERY["lstm"], 2))
    assert small.affordable(4, 2048) == 2048
    small.size = 4096
    assert FEWEST_STEPS < small.affordable(8, 2048) < small.affordable(4, 2048) < 2048
    assert small.affordable(4096, 2048) == FEWEST_STEPS


def test_what_cannot_be_followed():
    adjoint = adjoint_of(EVERY["gru"], 3, 2)
    with pytest.raises(IndexError, match=r"there is no row \[2\]; rows are 0..1"):
        Chain(adjoint, [0, 2])
    adjoint.run.active.zero_()
    with pytest.raises(ValueError, match="no row takes a step"):
        Chain(adjoint)
