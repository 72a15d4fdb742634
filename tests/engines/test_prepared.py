"""Prepared training calls: what is kept between calls, and mistakes to be seen; for parity, see test_parity.py."""

import pytest
import torch
from comparing import assert_all_close
from engines.running import call_of, value_and_gradients
from engines.test_engine_mutants import refused
from reference.cases import case_of, traced
from tolerances import TOLERANCE

import headgate as hg
from headgate.engines.cpu import autograd, backward_tape, library, plan, prepared, structures, tape, weights

pytestmark = pytest.mark.skipif(library.library() is None, reason="the library was not built")
FEATURES, KEPT_H = 16, 128


@pytest.fixture
def anew():
    """Tapes written in the test alone."""
    prepared.prepared.cache_clear()
    yield
    prepared.prepared.cache_clear()


def test_weights_of_this_size_are_kept_packed():
    assert weights.pays_to_keep(4 * KEPT_H * KEPT_H, rows=6)
    assert not weights.pays_to_keep(4 * KEPT_H * KEPT_H, rows=1000)
    assert not weights.pays_to_keep(4 * FEATURES * FEATURES, rows=6)


@pytest.mark.parametrize("options", ["plain", "no bias", "reverse"])
@pytest.mark.parametrize("name", ["lstm", "gru", "reset_before_gru", "greff_fgr", "lstmp"])
def test_packed_in_every_call_or_kept_is_the_same(name, options, monkeypatch, anew):
    case = case_of(name, (4, 3, 21), options)
    for rows, numbers in ((0, 0), (1 << 30, 0)):  # none are kept, all are
        monkeypatch.setattr(weights, "ROWS_WORTH_KEEPING", rows)
        monkeypatch.setattr(weights, "NUMBERS_WORTH_KEEPING", numbers)
        prepared.prepared.cache_clear()
        for _ in range(2):
            found = value_and_gradients(case, "cpu", torch.float64)
            assert_all_close(found, traced(case), TOLERANCE["cpu", torch.float64])


CHANGES = {
    "optimizer": lambda w: torch.optim.SGD([w], 0.1).step(),
    "copy_": lambda w: w.copy_(2 * w),
    "data": lambda w: w.data.mul_(0.5),
    "data replaced": lambda w: setattr(w, "data", 3 * w.data),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0", "bias_hh_l0"])
def test_weights_that_were_kept_are_never_stale(name, change):
    torch.manual_seed(0)
    layers = [hg.LSTM(FEATURES, KEPT_H, engine=engine, dtype=torch.float64) for engine in ("cpu", "eager")]
    x = torch.randn(3, 2, FEATURES, dtype=torch.float64)
    for _ in range(3):
        layers[1].load_state_dict(layers[0].state_dict())
        found = []
        for layer in layers:
            layer.zero_grad()
            layer(x)[0].square().sum().backward()
            found.append({key: value.grad.numpy().copy() for key, value in layer.named_parameters()})
        assert_all_close(*found, TOLERANCE["cpu", torch.float64])
        with torch.no_grad():
            change(getattr(layers[0], name))


@pytest.mark.parametrize("name", ["lstm", "gru", "lstmp", "peephole_lstm"])
def test_only_what_is_wanted_is_found(name):
    """The gradient of each result by itself, with respect to each variable by itself."""
    call = call_of(case_of(name, (4, 3, 19)), torch.float64)
    variables = [call.input, *call.weights.values(), *call.initial]

    def results():
        result = autograd.run_call(call)
        return [result.output, *result.final]

    for k, like in enumerate(results()):
        upstream = torch.ones_like(like)
        together = torch.autograd.grad(results()[k], variables, upstream)
        for variable, expected in zip(variables, together, strict=True):
            [other.requires_grad_(other is variable) for other in variables]
            torch.testing.assert_close(torch.autograd.grad(results()[k], variable, upstream)[0], expected)
            [other.requires_grad_(True) for other in variables]


def test_no_two_gradients_share_memory():
    layer = hg.LSTM(FEATURES, FEATURES, engine="cpu")
    gradients = torch.autograd.grad(layer(torch.randn(3, 2, FEATURES))[0].sum(), list(layer.parameters()))
    assert len({value.untyped_storage().data_ptr() for value in gradients}) == len(gradients)


def test_what_was_saved_may_come_back_in_another_form():
    layer = hg.LSTM(FEATURES, FEATURES, engine="cpu")
    x = torch.randn(3, 2, FEATURES)
    layer(x)[0].sum().backward()
    expected = [value.grad.clone() for value in layer.parameters()]
    layer.zero_grad()
    turned = lambda value: value.detach().mT.contiguous() if value.dim() > 1 else value.detach()  # noqa: E731
    with torch.autograd.graph.saved_tensors_hooks(turned, lambda value: value.mT if value.dim() > 1 else value):
        output = layer(x)[0].sum()
    output.backward()
    assert all(map(torch.equal, expected, (value.grad for value in layer.parameters())))


def test_sums_of_parts_and_a_base_that_is_nothing():
    written = tape.Tape(["scratch", "from", "to", "nothing"], 8)
    job = structures.Copying(rows=2, columns=3, width=4, from_stride=3, to_stride=4, parts=2, apart=6)
    copy = library.library().hg_copy_f64
    written.do(copy, written.put(job, from_=written.base("from"), to=written.base("to")))
    table = written.table([written.base("nothing"), written.base("to").on(8), 5])
    seen = structures.Copying(rows=1, columns=3, width=3, parts=1)
    written.do(copy, written.put(seen, from_=table, to=written.base("to").on(64)))
    given, found = torch.arange(12.0, dtype=torch.float64), torch.full((11,), -1, dtype=torch.float64)
    written.close()([0, given.data_ptr(), found.data_ptr(), 0])
    assert found[:8].tolist() == [6, 8, 10, 0, 12, 14, 16, 0]
    assert found[8:].view(torch.int64).tolist() == [0, found.data_ptr() + 8, 5]


# --- mistakes made on purpose ---------------------------------------------------------------------------------------


def test_gates_in_another_order(monkeypatch, anew):
    right = backward_tape._Writer._runs
    monkeypatch.setattr(backward_tape._Writer, "_runs", lambda self, columns: right(self, columns)[::-1])
    assert refused("lstm", "plain", "cpu") == {"d_input"}


def test_rows_of_another_gate(monkeypatch, anew):
    right = plan.Plan.pack

    def wrong(self, tape, matrix, *, back):
        H = self.form.H
        turned = matrix._replace(rows=slice(H, 2 * H)) if matrix.rows == slice(2 * H, 3 * H) else matrix
        return right(self, tape, turned, back=back)

    monkeypatch.setattr(plan.Plan, "pack", wrong)
    assert refused("reset_before_gru", "plain", "cpu") >= {"output", "d_weight_hh"}


def test_old_states_that_are_a_step_off(monkeypatch, anew):
    def after_the_step(self, argument):
        return (self.plan.history[0],), self.plan.rows.N, self.plan.form.O

    monkeypatch.setattr(backward_tape._Writer, "_vectors", after_the_step)
    assert refused("lstm", "plain", "cpu") == {"d_weight_hh"}


def test_a_gradient_of_the_last_state_that_is_forgotten(monkeypatch, anew):
    def without(plan, given, wanted):
        writer = backward_tape._Writer(plan, given, wanted)
        writer.given = given - {"final h"}
        return writer.all()

    monkeypatch.setattr(prepared, "backward_tape", without)
    assert refused("gru", "plain", "cpu") >= {"d_initial_h", "d_weight_hh"}
