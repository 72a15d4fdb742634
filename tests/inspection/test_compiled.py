"""The reverse pass in the compiled library beside the one by torch's operations, and mistakes made in it on purpose."""

from dataclasses import replace

import pytest
import torch
from comparing import assert_all_close
from inspection.arrows import by_hand
from inspection.knock_out import told
from inspection.watching import (
    CELLS,
    EXACT,
    LENGTHS,
    B,
    I,
    T,
    assert_as_unrolled,
    layer_of,
    one_layer_run,
    resets,
    unrolled,
    watched,
)
from nn.layer_runs import normal, states_for

import headgate as hg
from headgate.engines.cpu import adjoint as engine
from headgate.engines.cpu import kept, library
from headgate.inspection import compiled, recompute
from headgate.inspection.adjoint import COMPILED, HIGHWAY, TORCH, Adjoint
from headgate.inspection.flow import Back, Loss

pytestmark = pytest.mark.skipif(library.library() is None, reason="the compiled library was not built here")
# One cell of each kind: states, stages, projections, normalised, with masks.
KINDS = ("lstm", "gru", "rnn", "reset_before_gru", "peephole_lstm", "lstmp", "greff_fgrp")
WRAPPED = {"layer_norm": {"layer_norm": True}, "zoneout": {"zoneout": 0.3}}
WRAPPED["both"] = WRAPPED["layer_norm"] | WRAPPED["zoneout"]
SHAPES = {"whole": {}, "lengths": {"lengths": LENGTHS}, "resets": {"reset": resets()}}
SHAPES["both"] = SHAPES["lengths"] | SHAPES["resets"]


def run_of(cell, direction="l0", dtype=torch.float64, **arguments):
    """A layer and direction that was run under the watch, its cell's masks drawn."""
    layer = layer_of(cell, num_layers=1, dtype=dtype)
    states = tuple(value.to(dtype) for value in states_for(layer, B))
    seen, _ = watched(layer, normal(T, B, I).to(dtype), states, **arguments)
    return seen[direction].adjoint.run


def losses(run, size=1.0):
    """Losses of single steps and of all, every path cut in one of them, on every state and the last ones."""
    cuts = [HIGHWAY, *Adjoint(run).route.graph.products]
    random = torch.Generator().manual_seed(3)
    n = 3 + len(cuts)
    sources = torch.randint(0, T, (n, B), generator=random)
    sources[1], sources[2, 0] = -1, T

    def drawn(*shape):
        return size * torch.randn(*shape, generator=random, dtype=torch.float64).to(run.input.dtype)

    local = {name: drawn(2, *value.shape) for name, value in run.states.items()}
    final = {name: drawn(2, *value.shape) for name, value in run.initial.items()}
    return Loss(local, final, sources, [(3 + k, label) for k, label in enumerate(cuts)], [k % 2 for k in range(n)])


def brought(adjoint, loss):
    """All that a reverse pass tells, plain numbers in one scale."""
    found, back = {}, Back(adjoint, loss, highway=True, paths=True)
    for stretch in back:
        factor = torch.exp2(stretch.scale.double())[..., None]
        told = {f"total {name}": value * factor for name, value in stretch.total.items()}
        told["inputs"] = stretch.inputs * factor
        told |= {f"product {name}": value * factor for name, value in stretch.products.items()}
        told |= {f"path {name}": value * factor[0] for name, value in stretch.paths.items()}
        told["highway"] = stretch.highway * torch.exp2(stretch.highway_scale.double())[..., None]
        for name, value in told.items():
            found.setdefault(name, []).append(value)
    whole = {name: torch.cat(parts[::-1], -3) for name, parts in found.items()}
    return whole | {f"initial {name}": value for name, value in back.initial.items()}


def compare_ways(run, loss, tolerance=EXACT):
    assert Adjoint(run).way == COMPILED
    expected = brought(Adjoint(run, TORCH), loss)
    actual = brought(Adjoint(run), loss)
    assert_all_close({name: actual[name] for name in expected}, expected, tolerance)


@pytest.mark.parametrize("at_once", [1, 4000, 10**9], ids=["a step at once", "some steps", "all steps"])
@pytest.mark.parametrize("direction", ["l0", "l0_reverse"])
@pytest.mark.parametrize("arguments", SHAPES.values(), ids=SHAPES)
def test_both_ways_say_the_same(arguments, direction, at_once, monkeypatch):
    monkeypatch.setattr(compiled, "AT_ONCE", at_once)
    run = run_of(CELLS["lstm"], direction, **arguments)
    compare_ways(run, losses(run))


@pytest.mark.parametrize("direction", ["l0", "l0_reverse"])
@pytest.mark.parametrize("name", [*KINDS, *(f"{kind} {cell}" for kind in WRAPPED for cell in ("lstm", "gru", "rnn"))])
def test_both_ways_say_the_same_of_every_kind_of_cell(name, direction):
    kind, _, plain = name.rpartition(" ")
    cell = hg.cells.get(plain, **WRAPPED[kind]) if kind else CELLS[plain]
    run = run_of(cell, direction, **SHAPES["both"])
    compare_ways(run, losses(run))


@pytest.mark.parametrize("size", [1e-250, 1e-30, 1e30, 1e250])
def test_both_ways_say_the_same_however_large_the_loss(size):
    run = run_of(CELLS["gru"], **SHAPES["both"])
    compare_ways(run, losses(run, size))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_that_share_units_or_rows(threads):
    """Wide enough that units are shared; and many rows, which are shared instead."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        for rows, hidden in ((2, 70), (24, 20)):
            layer = hg.LSTM(3, hidden, dtype=torch.float64)
            seen, _ = watched(layer, normal(9, rows, 3))
            trace = seen["l0"]
            compare_ways(trace.adjoint.run, trace.local.whole())
    finally:
        torch.set_num_threads(before)


def test_a_packed_sequence_in_another_order():
    layer, lengths = torch.nn.LSTM(I, 3, dtype=torch.float64), [2, 5, 1, 4]
    packed = torch.nn.utils.rnn.pack_padded_sequence(normal(T, B, I), lengths, enforce_sorted=False)
    with hg.watch(layer) as seen:
        (layer(packed)[0].data ** 2).sum().backward()
    compare_ways(seen["l0"].adjoint.run, seen["l0"].local.whole())


# --- which way is taken -------------------------------------------------------------------------------------------


def test_the_way_is_the_compiled_one_where_the_engine_ran():
    adjoint = Adjoint(run_of(CELLS["lstm"]))
    assert (adjoint.way, adjoint.why) == (COMPILED, None)


def test_what_nobody_kept_is_gone_through_by_torch_and_says_so():
    run = replace(run_of(CELLS["lstm"]), kept=None)
    adjoint = Adjoint(run)
    assert (adjoint.way, adjoint.why) == (TORCH, "the compiled engine did not run it, or kept nothing of it")
    assert repr(adjoint) == f"Adjoint(LSTM, T={T}, B={B}, by torch's operations: {adjoint.why})"
    with pytest.raises(RuntimeError, match=r'^Adjoint: way="compiled" cannot be taken: the compiled engine did not'):
        Adjoint(run, COMPILED)


def test_a_way_there_is_none_of():
    with pytest.raises(ValueError, match=r'^Adjoint: way="fast", but there are "compiled" and "torch"\.$'):
        Adjoint(run_of(CELLS["lstm"]), "fast")


def test_of_a_large_run_nothing_is_kept(monkeypatch):
    monkeypatch.setattr(recompute, "KEPT_BYTES", 100)
    assert Adjoint(run_of(CELLS["lstm"])).way == TORCH


def test_a_stretch_that_was_left_is_not_asked(monkeypatch):
    monkeypatch.setattr(compiled, "AT_ONCE", 1)
    run = run_of(CELLS["lstm"])
    stretches = list(Back(Adjoint(run), losses(run), paths=True))
    assert stretches[-1].paths.keys() == {"readout", "highway", *"ifgo"}
    for ask in (lambda: stretches[0].paths, lambda: stretches[0].inputs, lambda: stretches[0].products):
        with pytest.raises(RuntimeError, match="was left; ask it before the next one is made"):
            ask()


# --- mistakes -----------------------------------------------------------------------------------------------------


def refused(named, compare):
    with pytest.raises(AssertionError) as error:
        compare()
    lines = str(error.value).splitlines()[1:]
    found = {line.strip().partition(": relative")[0] for line in lines}
    assert set(named) <= found, error.value
    return found


def compare_totals():
    layer, input = layer_of(CELLS["lstm"]), normal(T, B, I)
    seen, cotangents = watched(layer, input)
    assert_as_unrolled(seen, unrolled(CELLS["lstm"], layer, input, None, cotangents))


def compare_paths():
    seen, cotangents, whole = one_layer_run(CELLS["lstm"])
    assert_all_close(told(seen["l0"]), by_hand("lstm", whole.parts["l0"], cotangents), EXACT)


def compare_losses(**arguments):
    run = run_of(CELLS["lstm"], **arguments)
    compare_ways(run, losses(run))


def test_nothing_is_caught_where_nothing_is_wrong():
    compare_totals()
    compare_paths()
    compare_losses()


def with_sources(monkeypatch, change):
    """Let the compiled way follow something else."""
    right = compiled.Sources
    monkeypatch.setattr(compiled, "Sources", lambda *given: change(right(*given)))


def test_recurrent_matrices_the_wrong_way_round(monkeypatch):
    right = kept.packed

    def wrong(weight, bias, rows, blocks, *rest, **named):
        turned = torch.cat([block.T for block in weight.chunk(blocks)]).contiguous()
        return right(turned, bias, rows, blocks, *rest, **named)

    monkeypatch.setattr(kept, "packed", wrong)
    refused(["l1: grad c", "l0: grad h"], compare_totals)
    refused([f"path {gate}" for gate in "ifgo"], compare_paths)


def test_final_states_forgotten(monkeypatch):
    with_sources(monkeypatch, lambda sources: replace(sources, final={}))
    refused(["l1: grad c", "l1: grad_initial c"], compare_totals)


def test_a_loss_of_all_steps_for_that_of_one(monkeypatch):
    with_sources(monkeypatch, lambda sources: replace(sources, steps=torch.full_like(sources.steps, -1)))
    refused(["total c"], compare_losses)


def test_one_loss_for_another(monkeypatch):
    with_sources(monkeypatch, lambda sources: replace(sources, which=[0] * len(sources.which)))
    refused(["total c"], compare_losses)


def test_a_cut_of_another_block(monkeypatch):
    def wrong(sources):
        return replace(sources, cut_blocks=[(g, {"i": "g", "g": "i"}.get(b, b)) for g, b in sources.cut_blocks])

    with_sources(monkeypatch, wrong)
    refused(["total c", "inputs"], compare_losses)


def test_a_highway_that_is_not_cut(monkeypatch):
    with_sources(monkeypatch, lambda sources: replace(sources, cut_highway=frozenset()))
    refused(["total c"], compare_losses)


def test_paths_under_each_others_names(monkeypatch):
    """The total does not notice: its parts are all there."""
    right = engine.Way._block
    monkeypatch.setattr(engine.Way, "_block", lambda self, arrived, k: right(self, arrived, {0: 1, 1: 0}.get(k, k)))
    compare_totals()
    assert refused(["path i", "path f"], compare_paths) == {"path i", "path f"}


def test_a_highway_that_takes_the_gates_along(monkeypatch):
    right = compiled.Way
    monkeypatch.setattr(compiled, "Way", lambda *given, apart, alone: right(*given, apart=apart, alone=False))
    compare_totals()
    assert refused(["path highway alone"], compare_paths) == {"path highway alone"}


def test_what_came_at_another_step(monkeypatch):
    """What a step got from the one after it, told of the one after."""
    right = kept.Kept.in_order

    def wrong(self, values, start, stop, gradients=1):
        found = right(self, values, start, stop, gradients)
        return found.roll(1, 1) if found.shape[1] == T + 1 else found

    monkeypatch.setattr(kept.Kept, "in_order", wrong)
    refused(["path i", "path highway"], compare_paths)


def test_a_restored_state_that_is_gone_through(monkeypatch):
    right = compiled._Arrivals.__init__

    def wrong(self, *given):
        right(self, *given)
        self._whole = True

    monkeypatch.setattr(compiled._Arrivals, "__init__", wrong)
    found = refused(["path i", "path highway"], lambda: compare_losses(**SHAPES["resets"]))
    assert "total c" not in found
