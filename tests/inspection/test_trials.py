"""Runs of a model on fixed data: what they leave as it was, what they may call, and what they say when they cannot."""

import numpy as np
import pytest
import torch
from inspection.latch import Latch, batch, losses
from nn.layer_runs import normal
from torch import nn

import headgate as hg
from headgate.inspection.override import run, run_overridden
from headgate.inspection.trials import Trials


class Mixed(nn.Module):
    """Dropout, layers of ours and of torch's, deep inside, one of them idle; some in another mode than the rest."""

    def __init__(self):
        super().__init__()
        both = {"bidirectional": True, "num_layers": 2}
        self.inner = nn.ModuleDict({"low": hg.GRU(2, 3, **both), "high": nn.LSTM(6, 3), "idle": nn.RNN(2, 3)})
        self.drop = nn.Dropout(0.5)
        self.drop.eval()

    def forward(self, input):
        return self.inner["high"](self.drop(self.inner["low"](input)[0]))[0][-1].sum(-1)


def modes(model):
    return [module.training for module in model.modules()]


def mixed_losses(model, data):
    assert not any(modes(model))
    return model(data).square()


def data(rows=4, seed=0):
    return normal(5, rows, 2, seed=seed, dtype=torch.float32)


def test_the_model_is_as_it_was():
    model = Mixed()
    before, state = modes(model), torch.get_rng_state()
    with Trials(model, [data()], mixed_losses) as trials:
        trials.run(0, {})
        torch.rand(3)
    assert modes(model) == before
    assert torch.equal(torch.get_rng_state(), state)
    assert all("forward" not in module.__dict__ for module in model.modules())
    assert not any(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("when", ["first", "later"])
def test_after_an_error_too(when):
    model = Mixed()
    before, state = modes(model), torch.get_rng_state()

    def failing(model, data):
        model(data)
        raise ZeroDivisionError

    def broken(call, count):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), Trials(model, [data()], failing if when == "first" else mixed_losses) as t:
        t.run(0, {t.places()[0]: broken})
    assert modes(model) == before
    assert torch.equal(torch.get_rng_state(), state)
    assert all("forward" not in module.__dict__ for module in model.modules())


def test_every_run_draws_the_same():
    def drawing(model, data):
        return mixed_losses(model, data) + torch.rand(data.shape[1])

    with Trials(Mixed(), [data(), data(3, 1)], drawing, seed=5) as trials:
        once = [trials.run(k, {}) for k in (0, 1)]
        again = [trials.run(k, {}) for k in (1, 0)]
    assert torch.equal(once[0], again[1])
    assert torch.equal(once[1], again[0])
    np.testing.assert_allclose(trials.base, torch.cat(once), rtol=1e-6)


def test_names_are_those_of_the_watch():
    model = Mixed()
    with hg.watch(model) as seen:
        model(data())
    with Trials(model, [data()], mixed_losses) as trials:
        assert [place.name for place in trials.places()] == seen.names()
        asked = ["inner.high", "inner.low", "inner.low.l0_reverse"]
        assert [place.name for place in trials.places(asked)] == [seen[name].name for name in asked]
        for name in ("inner.idle", "inner.low.l2", "nothing"):
            with pytest.raises(KeyError) as error:
                trials.places([name])
            assert error.value.args[0].startswith(f"trials: nothing named {name!r} was called; there is 'inner.low.l0'")


def test_a_batch_goes_through_the_layer_that_is_changed():
    model, (input, target) = Latch(), batch(5, 4)
    with Trials(model, [(input, target)], losses) as trials:
        (place,) = trials.places()
        shut = trials.run(0, {place: lambda call, count: run_overridden(call, "o", torch.zeros(4), None, "eager")})
        plain = trials.run(0, {place: lambda call, count: run(call)})
    torch.testing.assert_close(shut, torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(plain, torch.zeros(4, dtype=torch.float64), atol=1e-6, rtol=0)
    assert trials.longest == 5
    assert trials.sizes == [4]


def test_a_compiled_model_is_followed_and_runs_compiled_again():
    torch._dynamo.reset()
    model, calls = Mixed().eval(), []

    def backend(graph, inputs):
        calls.append(graph)
        return graph.forward

    compiled = torch.compile(model, backend=backend)
    expected = compiled(data())
    before = len(calls)
    with Trials(compiled, [data()], lambda m, d: m(d).square()) as trials:
        place = trials.places()[-1]
        assert place.name == "_orig_mod.inner.high.l0"
        changed = trials.run(0, {place: lambda call, count: run_overridden(call, "o", torch.zeros(3), None, "eager")})
    assert not changed.any()
    assert torch.equal(compiled(data()), expected)
    assert before == len(calls) > 0
    torch._dynamo.reset()


def test_batches_are_gone_through_once():
    with Trials(Mixed(), (data(2, k) for k in range(3)), mixed_losses) as trials:
        assert trials.sizes == [2, 2, 2]
        assert trials.base.shape == (6,)
        assert [(span.start, span.stop) for span in trials.spans] == [(0, 2), (2, 4), (4, 6)]


def entered(*arguments):
    with Trials(*arguments) as trials:
        return trials


@pytest.mark.parametrize(
    ("model", "batches", "loss", "error", "words"),
    [
        ("lstm", [1], None, TypeError, r"^trials: got a str, but a torch\.nn\.Module is needed\.$"),
        (Mixed(), [], None, ValueError, r"^trials: there are no batches to measure the loss on"),
        (Mixed(), [data()], lambda m, d: m(d).sum(), TypeError, r"float32 of shape \[\], but the loss of each"),
        (Mixed(), [data()], lambda m, d: m(d)[None], TypeError, r"float32 of shape \[1, 4\], but the loss of each"),
        (Mixed(), [data()], lambda m, d: (m(d) > 0).long(), TypeError, r"gave torch\.int64 of shape \[4\], but"),
        (Mixed(), [data()], lambda m, d: 1.0, TypeError, r"gave a float, but the loss of each sequence"),
        (Mixed(), [data()], lambda m, d: d.sum((0, 2)), ValueError, r"^trials: the loss called no recurrent layer;"),
        (nn.Linear(2, 1), [data()], lambda m, d: d.sum((0, 2)), ValueError, r"the model's are none"),
    ],
)
def test_what_cannot_be_measured(model, batches, loss, error, words):
    with pytest.raises(error, match=words):
        entered(model, batches, loss)


def test_losses_of_other_sequences_are_refused():
    sizes = iter([4, 3])
    with Trials(Mixed(), [data()], lambda m, d: m(d)[: next(sizes)]) as trials:
        losses = trials.run(0, {})
        with pytest.raises(ValueError, match=r"gave 4 losses of batch 0, then 3; it has to give the loss of the same"):
            trials.numbers(0, losses)


def test_what_is_no_number_is_infinite():
    nan = torch.tensor([1.0, float("nan"), float("inf"), 0.0])
    with Trials(Mixed(), [data()], lambda m, d: m(d)) as trials:
        np.testing.assert_array_equal(trials.numbers(0, nan), [1.0, np.inf, np.inf, 0.0])


def test_a_forward_of_its_own_is_found():
    class Doubled(nn.LSTM):
        def forward(self, input, hx=None):
            output, final = super().forward(input, hx)
            return 2.0 * output, final

    model = nn.Sequential(Doubled(2, 3))
    with pytest.raises(RuntimeError, match=r"^0: run again layer by layer it gives another output"):
        entered(model, [data()], lambda m, d: m(d)[0][-1].sum(-1))
