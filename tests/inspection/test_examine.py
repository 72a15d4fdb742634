"""`examine` on models of all shapes: what it gives, that it leaves nothing behind, and what it refuses."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from nn.layer_runs import normal
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import headgate as hg
from headgate.inspection import Record
from headgate.inspection.examine import examine
from headgate.report import write_watch_report

T, B, I, H = 9, 5, 2, 3  # noqa: E741 - the field's letter
LENGTHS = torch.tensor([4, 9, 1, 9, 7])


class Tagger(nn.Module):
    """Anything that a recurrent layer stands in: batch norm, which must not learn, and dropout, which must not drop."""

    def __init__(self, layer: nn.Module, packed: bool = False) -> None:
        super().__init__()
        self.body = nn.ModuleDict({"norm": nn.BatchNorm1d(I), "memory": layer, "drop": nn.Dropout(0.5)})
        self.head = nn.Linear(H * (2 if layer.bidirectional else 1), 1)
        self.packed = packed

    def forward(self, input):
        """[B, T, I] -> [B, T]."""
        input = self.body["norm"](input.transpose(1, 2)).transpose(1, 2)
        layer = self.body["memory"]
        first = layer.batch_first
        given = input if first else input.transpose(0, 1)
        if self.packed:
            given = pack_padded_sequence(given, LENGTHS[: len(input)], batch_first=first, enforce_sorted=False)
        output = layer(given)[0]
        if self.packed:
            output = pad_packed_sequence(output, batch_first=first)[0]
        output = output if first else output.transpose(0, 1)
        return self.head(self.body["drop"](output))[..., 0]


def losses(model, batch):
    """Of every step, so that each direction has something to go back."""
    input, target = batch
    return (model(input) - target[:, None]).square().mean(1)


def batch(seed: int = 0, rows: int = B):
    return normal(rows, T, I, seed=seed, dtype=torch.float32), normal(rows, seed=seed + 50, dtype=torch.float32)


BOTH = {"num_layers": 2, "bidirectional": True}
MODELS = {
    "lstm": lambda: Tagger(nn.LSTM(I, H, batch_first=True)),
    "gru, both ways, two layers": lambda: Tagger(nn.GRU(I, H, **BOTH)),
    "lstm, both ways, two layers, packed": lambda: Tagger(nn.LSTM(I, H, batch_first=True, **BOTH), packed=True),
    "relu rnn, packed": lambda: Tagger(nn.RNN(I, H, nonlinearity="relu"), packed=True),
    "our lstm, packed": lambda: Tagger(hg.LSTM(I, H, batch_first=True, **BOTH), packed=True),
    "our gru": lambda: Tagger(hg.GRU(I, H)),
    "a cell by name": lambda: Tagger(hg.Recurrent("peephole_lstm", I, H, batch_first=True)),
}


def names_of(model: Tagger) -> list[str]:
    layer = model.body["memory"]
    suffixes = ("", "_reverse") if layer.bidirectional else ("",)
    return [f"body.memory.l{k}{suffix}" for k in range(layer.num_layers) for suffix in suffixes]


def assert_sound(examination, tmp_path, page: bool = True) -> None:
    """Facts are JSON, records come back from a folder as they were, and a page can be made of them."""
    examination.save(tmp_path / "records")
    for name, record in examination.records.items():
        assert record.name == name
        facts = json.loads(json.dumps(record.facts, allow_nan=False))
        loaded = Record.load(tmp_path / "records" / name)
        assert loaded.facts == facts and loaded.name == name
        assert loaded.arrays.keys() == record.arrays.keys()
        for key, value in record.arrays.items():
            np.testing.assert_array_equal(loaded.arrays[key], value)
        for verdict in examination.verdicts[name]:
            assert verdict.number and verdict.rule and verdict.source
            assert verdict.name in repr(examination)
    if page:
        text = write_watch_report(tmp_path / "records", tmp_path / "page.html").read_text()
        assert all(name in text for name in examination.records)


# Causes too, of these; a model of four layers and directions is run again some hundred times.
RUN_AGAIN = ("lstm", "gru, both ways, two layers", "our gru")


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_and_direction_of_a_model(name, tmp_path):
    model, causes = MODELS[name](), name in RUN_AGAIN
    batches = [batch(), batch(1)][: 1 + causes]
    found = examine(model, batches, losses, needs_lag=4, chance=2.0, verify=0, causes=causes)
    assert list(found.records) == list(found.verdicts) == names_of(model)
    for record in found.records.values():
        assert record.facts["loss"]["rows"] == len(batches) * B and record.facts["loss"]["chance"] == 2.0
        assert causes == ({"ablation_kinds", "reset", "triage"} <= record.facts.keys())
        assert causes == ("lag" in record.facts["horizons"]["used"])
        assert record.arrays["lengths"].tolist() == (LENGTHS.tolist() if model.packed else [T] * B)
    assert_sound(found, tmp_path)


def test_numbers_are_those_of_the_watch():
    model = Tagger(nn.LSTM(I, H, batch_first=True)).eval()
    found = examine(model, [batch()], losses, needs_lag=4, causes=False).records["body.memory.l0"]
    with hg.watch(model) as seen:
        losses(model, batch()).sum().backward()
    seen = seen["body.memory"].record(needs_lag=4)
    for name, value in seen.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], value)


class Translator(nn.Module):
    """An encoder whose last state a decoder begins with; a third module is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.GRU(I, H, batch_first=True), nn.GRU(I, H, batch_first=True)
        self.spare = nn.LSTM(I, H)

    def forward(self, input):
        _, state = self.encoder(input)
        return self.decoder(input[:, :4].flip(1), state)[0].sum(-1)


def test_two_modules_of_which_one_begins_where_the_other_ends(tmp_path):
    found = examine(Translator(), [batch()], losses, needs_lag=3, verify=1)
    assert list(found.records) == ["encoder.l0", "decoder.l0"]
    assert [record.facts["steps"] for record in found.records.values()] == [T, 4]
    assert all("trainable" in r.facts["horizons"] and "lag_profile" in r.arrays for r in found.records.values())
    assert_sound(found, tmp_path)


class Streamer(nn.Module):
    """Called step by step, its state handed on, so that no call knows the sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = nn.LSTM(I, H, batch_first=True)

    def forward(self, input):
        outputs, state = [], None
        for t in range(input.shape[1]):
            output, state = self.memory(input[:, t : t + 1], state)
            outputs.append(output.sum((1, 2)))
        return torch.stack(outputs, 1)


def test_what_cannot_be_measured_says_why_and_the_rest_is_there(tmp_path):
    found = examine(Streamer(), [batch()], losses, needs_lag=1, verify=1)
    facts = found.records["memory.l0"].facts
    assert "called several times in a row" in facts["horizons"]["used"]["missing"]
    assert facts["missing"]["use"] == facts["horizons"]["used"]["missing"] and "reset" not in facts
    assert "ablation_kinds" in facts and facts["steps"] == 1
    assert_sound(found, tmp_path)


# --- numbers at the edge of what there is


def fixed(**biases) -> nn.LSTM:
    """An LSTM whose gates are their biases alone."""
    layer = nn.LSTM(I, H, batch_first=True)
    with torch.no_grad():
        layer.weight_hh_l0.zero_()
        for k, gate in enumerate("ifgo"):
            if gate in biases:
                layer.weight_ih_l0[k * H : (k + 1) * H] = 0.0
                layer.bias_ih_l0[k * H : (k + 1) * H] = biases[gate]
                layer.bias_hh_l0[k * H : (k + 1) * H] = 0.0
    return layer


def off() -> nn.RNN:
    layer = nn.RNN(I, H, nonlinearity="relu", batch_first=True)
    with torch.no_grad():
        layer.bias_ih_l0.fill_(-100.0)
    return layer


EDGES = {
    "one row": (lambda: nn.LSTM(I, H, batch_first=True), 1, T),
    "one step": (lambda: nn.GRU(I, H, batch_first=True), B, 1),
    "one row, one step": (lambda: nn.LSTM(I, H, batch_first=True), 1, 1),
    "two steps": (lambda: nn.RNN(I, H, batch_first=True), 1, 2),
    "any number of steps": (lambda: fixed(f=60.0), B, T),
    "open and shut": (lambda: fixed(f=60.0, i=-60.0), B, T),
    "nothing kept": (lambda: fixed(f=-800.0), B, T),
    "nothing read": (lambda: fixed(o=-800.0), B, T),
    "a relu that is off": (off, B, T),
    "one unit": (lambda: nn.LSTM(I, 1, batch_first=True), B, T),
}


@pytest.mark.parametrize(("make", "rows", "steps"), EDGES.values(), ids=EDGES)
def test_facts_are_json_and_the_page_is_made_at_every_edge(make, rows, steps, tmp_path):
    layer = make()

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.memory = layer

        def forward(self, input):
            return self.memory(input)[0].sum(-1)

    input, target = batch(rows=rows)
    found = examine(Model(), [(input[:, :steps], target)], losses, needs_lag=3, tbptt=2, chance=1.0, verify=1)
    assert list(found.records) == ["memory.l0"]
    assert_sound(found, tmp_path, page=rows > 1)
    if rows == 1:
        reset = found.records["memory.l0"].facts["reset"]
        assert reset["low"] is reset["high"] is None


@pytest.mark.parametrize("lengths", ([9, 0, 1, 9, 0], [1, 1, 1, 1, 1]))
def test_rows_that_take_few_steps_or_none(lengths, tmp_path):
    layer = hg.LSTM(I, H, batch_first=True, bidirectional=True)

    def read(model, data):
        return model(data[0], lengths=torch.tensor(lengths))[0].square().sum((1, 2))

    found = examine(layer, [batch()], read, needs_lag=3, verify=0)
    assert list(found.records) == ["l0", "l0_reverse"]
    assert all(record.arrays["lengths"].tolist() == lengths for record in found.records.values())
    assert_sound(found, tmp_path)


def test_a_model_that_is_a_layer_and_one_that_is_frozen(tmp_path):
    layer = nn.GRU(I, H, batch_first=True).requires_grad_(False)
    found = examine(layer, [batch()[0]], lambda model, x: model(x)[0].sum((1, 2)), causes=False)
    assert list(found.records) == ["l0"] and "lag_profile" in found.records["l0"].arrays
    assert [verdict.name for verdict in found.verdicts["l0"]] == ["NEED UNKNOWN"]
    assert_sound(found, tmp_path)


# --- what is asked for


def test_first_rows_are_followed_and_all_are_judged():
    model = Tagger(nn.LSTM(I, H, batch_first=True))
    record = examine(model, [batch(), batch(1)], losses, rows=2, verify=1, dynamics=False).records["body.memory.l0"]
    assert record.facts["rows"] == 2 and len(record.arrays["lengths"]) == 2 and record.facts["loss"]["rows"] == 2 * B
    assert "lyapunov" not in record.arrays


def test_what_is_known_of_the_task_stands_among_the_facts():
    asked = {"needs_lag": 4, "tbptt": 3, "train_length": 70}
    model = Tagger(nn.LSTM(I, H, batch_first=True))
    record = examine(model, [batch()], losses, chance=9.0, causes=False, **asked).records["body.memory.l0"]
    assert {name: record.facts[name] for name in asked} == asked and record.facts["needs_from"] == "given"
    loss = float(losses(model.eval(), batch()).detach().mean())
    expected = {"value": pytest.approx(loss), "chance": 9.0, "rows": B, "unit": "share of what was learnt"}
    assert record.facts["loss"] == expected and record.facts["horizons"]["used"] == {"missing": "not asked for"}
    assert "ablation" not in record.arrays and "kill" not in record.arrays


def test_batches_are_gone_through_once():
    model = Tagger(nn.LSTM(I, H, batch_first=True))
    found = examine(model, (batch(seed) for seed in range(3)), losses, verify=0, dynamics=False)
    assert found.records["body.memory.l0"].facts["loss"]["rows"] == 3 * B


def noisy(model, data):
    """A loss that draws random numbers of its own."""
    input, target = data
    return losses(model, (functional.dropout(input, 0.5, training=True), target))


@pytest.mark.parametrize("causes", (False, True))
def test_numbers_depend_on_the_seed_alone(causes):
    model = Tagger(nn.LSTM(I, H, batch_first=True))

    def arrays(seed, before):
        torch.manual_seed(before)
        return examine(model, [batch()], noisy, seed=seed, causes=causes, verify=1).records["body.memory.l0"].arrays

    first, again, other = arrays(1, 100), arrays(1, 200), arrays(2, 100)
    for name, value in first.items():
        np.testing.assert_array_equal(again[name], value)
    assert not np.array_equal(first["gradient_norm"], other["gradient_norm"])


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


def test_mutant_a_fact_that_is_no_number_is_noticed(tmp_path):
    model = Tagger(nn.LSTM(I, H, batch_first=True))
    found = examine(model, [batch()], losses, causes=False, dynamics=False)
    (name,) = found.records
    spoilt = replace(found.records[name], facts={**found.records[name].facts, "reset": {"low": float("nan")}})
    with pytest.raises(ValueError, match="not JSON compliant"):
        assert_sound(replace(found, records={name: spoilt}), tmp_path)
