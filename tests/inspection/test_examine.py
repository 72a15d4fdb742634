"""`examine` on models of all shapes and numbers at every edge: what it gives."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from inspection.examined import LENGTHS, B, H, I, T, Tagger, batch, losses, noisy
from torch import nn

import headgate as hg
from headgate.inspection import Record
from headgate.inspection.ablation import ablate
from headgate.inspection.context import state_reset, use_curve
from headgate.inspection.examination import CAUSES, examine
from headgate.inspection.units import sweep_units
from headgate.report import write_watch_report

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
        assert {"ablation", "kill", "use"} & record.facts["missing"].keys() == (set() if causes else set(CAUSES))
        assert not causes or {3, 4, 5, 6} <= set(record.arrays["use_lags"].tolist()), "about the needed lag"
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
    """Called step by step, its state handed on, so that no call knows where the sequence ends."""

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
    assert not {"ablation", "kill"} & facts["missing"].keys()
    assert facts["missing"]["use"] == facts["horizons"]["used"]["missing"] and "reset" not in facts
    assert "ablation_kinds" in facts and facts["steps"] == T
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
    assert_sound(found, tmp_path)
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
    assert {name: record.facts[name] for name in asked} == asked
    loss = float(losses(model.eval(), batch()).detach().mean())
    assert record.facts["loss"].items() >= {"value": pytest.approx(loss), "chance": 9.0, "rows": B}.items()
    gain = record.facts["loss"]["gain"]
    assert gain["middle"] == pytest.approx(9.0 - loss) and gain["low"] < gain["middle"] < gain["high"]
    assert record.facts["horizons"]["used"] == {"missing": "not asked for"}
    assert "ablation" not in record.arrays and "kill" not in record.arrays


def test_batches_are_gone_through_once():
    model = Tagger(nn.LSTM(I, H, batch_first=True))
    found = examine(model, (batch(seed) for seed in range(3)), losses, verify=0, dynamics=False)
    assert found.records["body.memory.l0"].facts["loss"]["rows"] == 3 * B


@pytest.mark.parametrize("batches", ([batch()], [batch(), batch(1)], [batch(rows=1)]), ids=("one", "two", "one row"))
def test_causes_that_share_their_runs_are_what_each_is_alone(batches):
    model, asked = Tagger(nn.GRU(I, H, num_layers=2)), {"chance": 2.0, "seed": 3}
    found = examine(model, batches, losses, needs_lag=4, verify=2, dynamics=False, **asked).records
    use = use_curve(model, batches, losses, needs_lag=4, **asked)
    reset = state_reset(model, batches, losses, **asked).effect
    gates, units = ablate(model, batches, losses, **asked), sweep_units(model, batches, losses, verify=2, **asked)
    for name, record in found.items():
        alone = {"ablation": gates[name].effect, "kill": units[name].kill, "kill_predicted": units[name].predicted}
        alone |= {"use_lags": use.lags, "use_loss": use.excess, "ablation_rows": gates[name].by_row}
        for key, value in alone.items():
            there = ~np.isnan(record.arrays["kill"]) if key == "kill" else slice(None)
            np.testing.assert_allclose(record.arrays[key][there], value[there], rtol=1e-5, atol=1e-6, err_msg=key)
        told = [record.facts["reset"][end] for end in ("low", "middle", "high")]
        ends = [np.nan if end is None else end for end in told]
        np.testing.assert_allclose(ends, reset, rtol=1e-5, atol=1e-6)


def reading(*steps):
    """A loss that reads these outputs of a layer."""
    return lambda model, x: model(x)[0][list(steps)].square().sum((0, 2))


READINGS = {
    "the last step": (nn.GRU(I, H), reading(-1), False, 4),
    "the last three": (nn.GRU(I, H), reading(-3, -1), False, 6),
    "as many as leave nothing to cut": (nn.GRU(I, H), reading(2, -1), False, None),
    "every step, at every step": (nn.GRU(I, H), reading(*range(T)), True, 4),
    "the last step of two layers": (nn.LSTM(I, H, 2), reading(-1), False, 4),
    "the end of a reverse direction is its beginning": (nn.GRU(I, H, bidirectional=True), reading(-1), False, 4),
    "a final state": (nn.GRU(I, H), lambda model, x: model(x)[1][0].square().sum(-1), False, 4),
}


@pytest.mark.parametrize(("layer", "loss", "every_step", "judged"), READINGS.values(), ids=READINGS)
def test_a_cut_is_judged_so_far_before_the_first_step_that_is_read(layer, loss, every_step, judged):
    input = batch()[0].transpose(0, 1)
    for record in examine(
        layer, [input], loss, needs_lag=4, verify=0, every_step=every_step, dynamics=False
    ).records.values():
        assert record.facts["horizons"]["used"]["judged"] == judged
        assert judged is None or judged in record.arrays["use_lags"]


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


def test_mutant_a_fact_that_is_no_number_is_noticed(tmp_path):
    model = Tagger(nn.LSTM(I, H, batch_first=True))
    found = examine(model, [batch()], losses, causes=False, dynamics=False)
    (name,) = found.records
    spoilt = replace(found.records[name], facts={**found.records[name].facts, "reset": {"low": float("nan")}})
    with pytest.raises(ValueError, match="not JSON compliant"):
        assert_sound(replace(found, records={name: spoilt}), tmp_path)
