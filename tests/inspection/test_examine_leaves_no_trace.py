"""`examine` leaves nothing behind, whenever it ends, and says in one sentence what it cannot look at."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from inspection.examined import B, H, I, Tagger, batch, losses, noisy
from torch import nn

import headgate as hg
from headgate.inspection.examination import examine

# --- nothing is left behind


def state_of(model, data) -> dict:
    """All that a look might disturb."""
    modules = list(model.modules())
    kinds = [kind for kind in vars(modules[0]) if kind.endswith("_hooks")]
    return {
        "modes": [module.training for module in modules],
        "gradients": [None if p.grad is None else (id(p.grad), p.grad.tolist()) for p in model.parameters()],
        "values": {name: value.tolist() for name, value in model.state_dict().items()},
        "hooks": [{kind: dict(getattr(module, kind)) for kind in kinds} for module in modules],
        "forwards": [module.forward.__func__ for module in modules],
        "asks": [p.requires_grad for p in model.parameters()],
        "torch": torch.get_rng_state().tolist(),
        "numpy": np.random.get_state()[1].tolist(),
        "python": random.getstate(),
        "grad mode": torch.is_grad_enabled(),
        "data": [value.tolist() for value in data],
    }


def disturbed_beforehand():
    """A model in mixed modes, with gradients, a frozen parameter and a hook of its own."""
    model = Tagger(nn.LSTM(I, H, batch_first=True)).train()
    model.head.eval()
    model.body["memory"].weight_ih_l0.grad = torch.ones(4 * H, I)
    model.head.bias.requires_grad_(False)
    model.body["memory"].register_forward_hook(lambda *arguments: None)
    return model


def calls_before(model) -> int:
    """How often `losses` is called altogether."""
    count = 0

    def counting(model, data):
        nonlocal count
        count += 1
        return losses(model, data)

    examine(model, [batch()], counting, verify=1)
    return count


def test_nothing_is_left_behind():
    model, data = disturbed_beforehand(), batch()
    before = state_of(model, data)
    examine(model, [data], noisy, needs_lag=3, verify=1)
    assert state_of(model, data) == before
    # A mutant: the check sees a mode, a gradient and a drawn number.
    for disturb in (model.eval, lambda: model(data[0]).sum().backward(), lambda: torch.rand(1)):
        disturb()
        assert state_of(model, data) != before
        before = state_of(model, data)


def test_nothing_is_left_in_what_is_not_the_models_own():
    """An input and a weight beside the model ask for gradients too; whoever asks may have turned gradients off."""
    model, (input, target) = Tagger(nn.LSTM(I, H, batch_first=True)), batch()
    input.requires_grad_()
    beside = torch.ones(B, requires_grad=True)
    beside.grad = torch.full((B,), 7.0)
    with torch.no_grad():
        found = examine(model, [(input, target)], lambda m, b: losses(m, b) * beside, causes=False, dynamics=False)
    assert "lag_profile" in found.records["body.memory.l0"].arrays
    assert input.grad is None and beside.grad.tolist() == [7.0] * B


def test_a_compiled_model_is_looked_at_as_it_was_written():
    model = Tagger(nn.LSTM(I, H, batch_first=True))
    plain = examine(model, [batch()], losses, verify=0, dynamics=False).records["body.memory.l0"]
    compiled = torch.compile(model, backend="eager")
    (record,) = examine(compiled, [batch()], losses, verify=0, dynamics=False).records.values()
    assert record.name == "_orig_mod.body.memory.l0"
    for name, value in plain.arrays.items():
        np.testing.assert_array_equal(record.arrays[name], value)


def test_nothing_is_left_behind_by_an_error_at_any_time():
    model, data = disturbed_beforehand(), batch()
    before, calls = state_of(model, data), calls_before(model)
    assert state_of(model, data) == before and calls > 20
    for at in (0, 1, calls // 2, calls - 1):
        count = 0

        def failing(model, data, at=at):
            nonlocal count
            found, count = losses(model, data), count + 1
            if count > at:
                raise ZeroDivisionError("of the user's own")
            return found

        with pytest.raises(ZeroDivisionError, match="of the user's own"):
            examine(model, [data], failing, verify=1)
        assert count == at + 1 and state_of(model, data) == before


# --- what is refused

REFUSED = {
    "no batches": (lambda m: ([], losses, {}), ValueError, "there are no batches"),
    "one number": (lambda m: ([batch()], lambda m, b: losses(m, b).mean(), {}), TypeError, "shape [], but one loss"),
    "too many": (lambda m: ([batch()], lambda m, b: m(b[0]), {}), TypeError, "shape [5, 9], but one loss a sequence"),
    "no tensor": (lambda m: ([batch()], lambda m, b: losses(m, b).tolist(), {}), TypeError, "gave list, but one"),
    "nothing": (lambda m: ([batch()], lambda m, b: None, {}), TypeError, "gave NoneType, but one loss"),
    "no gradient": (lambda m: ([batch()], lambda m, b: losses(m, b).detach(), {}), ValueError, "ask for no gradient"),
    "no sequences": (lambda m: ([batch()], lambda m, b: losses(m, b)[:0], {}), ValueError, "gave no losses"),
    "no number": (lambda m: ([batch()], lambda m, b: losses(m, b) / 0, {}), ValueError, "of 5 of 5 sequences"),
    "not called": (lambda m: ([batch()], lambda m, b: m.head.weight.sum(1), {}), ValueError, "no recurrent layer"),
    "needs_lag": (lambda m: ([batch()], losses, {"needs_lag": 0}), ValueError, "needs_lag=0 is no number of steps"),
    "half a step": (lambda m: ([batch()], losses, {"needs_lag": 2.5}), ValueError, "needs_lag=2.5 is no number"),
    "tbptt": (lambda m: ([batch()], losses, {"tbptt": -1}), ValueError, "tbptt=-1 is no number of steps"),
    "train_length": (lambda m: ([batch()], losses, {"train_length": True}), ValueError, "train_length=True is no"),
    "rows": (lambda m: ([batch()], losses, {"rows": 0}), ValueError, "rows=0 is no number of steps or rows"),
    "chance": (lambda m: ([batch()], losses, {"chance": float("nan")}), ValueError, "chance=nan is no loss"),
    "verify": (lambda m: ([batch()], losses, {"verify": -1}), ValueError, "verify=-1 is no number of units"),
}


@pytest.mark.parametrize(("make", "kind", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_looked_at_is_refused_in_one_sentence(make, kind, words):
    model = Tagger(nn.LSTM(I, H, batch_first=True))
    batches, read, asked = make(model)
    before = state_of(model, batch())
    with pytest.raises(kind) as caught:
        examine(model, batches, read, **{"dynamics": False, **asked})
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert state_of(model, batch()) == before


def test_models_without_a_memory_and_sequences_without_a_step():
    with pytest.raises(ValueError, match="Linear holds no recurrent layer"):
        examine(nn.Linear(I, 1), [batch()], losses)
    with pytest.raises(TypeError, match="got a function, but a"):
        examine(losses, [batch()], losses)
    layer = hg.LSTM(I, H, batch_first=True)
    with pytest.raises(ValueError, match="no sequence of the first batch takes a step in l0"):
        examine(layer, [batch()[0]], lambda m, x: m(x, lengths=torch.zeros(B, dtype=torch.int64))[0].sum((1, 2)))
