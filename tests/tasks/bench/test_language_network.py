"""The network's switches, what is scored, and what it learns."""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import load_file, save_file
from tasks.bench.language_texts import SEED, TEXT, prepared, small
from torch.testing import assert_close

from headgate.data import DataError
from headgate.tasks.bench.language import TASK
from headgate.tasks.bench.language.network import recurrent_weights
from headgate.tasks.bench.language.options import Options
from headgate.tasks.bench.language.scores import Judgement
from headgate.tasks.settings import Learning

SWITCHES = [
    {"embedding_size": 5},
    {"tied": "yes"},
    {"input_dropout": 0.3},
    {"embedding_dropout": 0.3},
    {"weight_drop": 0.3},
    {"activation": 2.0},
    {"slowness": 1.0},
]


def batches(store, encoding, size=4, training=True, **learning):
    loader = TASK.loader(store, encoding, Learning(batch_size=size, **learning), training)
    return loader.epoch(0)


def cost(network, batch, seed=SEED):
    torch.manual_seed(seed)
    found = TASK.losses(network, batch)
    loss = found.sums.sum() / found.counts.sum()
    return loss if found.penalty is None else loss + found.penalty


def made(encoding, dropout=0.0, **options):
    return small(encoding, Options(steps=16, **options), dropout=dropout, num_layers=2)


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: next(iter(switch)))
def test_every_switch_changes_training_and_dropouts_training_alone(tmp_path, switch):
    _, encoding, store = prepared(tmp_path, steps=16)
    batch = next(batches(store, encoding))
    plain, other = made(encoding), made(encoding, **switch)
    assert abs(cost(plain, batch) - cost(other, batch)) > 1e-6
    if "embedding_size" not in switch and "tied" not in switch:
        assert_close(cost(plain.eval(), batch), cost(other.eval(), batch), rtol=0, atol=0)


def test_dropout_is_locked_unless_told_otherwise(tmp_path):
    _, encoding, store = prepared(tmp_path, steps=16)
    batch = next(batches(store, encoding))
    costs = [cost(made(encoding, dropout=0.5, locked=locked), batch) for locked in (True, False)]
    assert abs(costs[0] - costs[1]) > 1e-6
    network = made(encoding, dropout=0.5)
    torch.manual_seed(SEED)
    _, _, dropped, plain = network(batch["input"])
    kept = dropped != 0
    assert (kept == kept[0]).all() and 0.2 < kept.double().mean() < 0.8
    assert len({tuple(row.tolist()) for row in kept[0]}) == kept.shape[1]
    assert_close(dropped[kept], 2 * plain[kept])


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_dropout_has_to_be_a_share(tmp_path, dropout):
    _, encoding, _ = prepared(tmp_path)
    with pytest.raises(ValueError, match=f"dropout={dropout}"):
        made(encoding, dropout=dropout)


@pytest.mark.parametrize("cell", ["lstm", "reset_before_gru"])
def test_dropped_weights_are_dropped_for_a_batch_and_kept_in_the_layer(tmp_path, cell):
    _, encoding, store = prepared(tmp_path, steps=16)
    network = small(encoding, Options(weight_drop=0.5), cell=cell)
    weights = recurrent_weights(network.layers[0])
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    cost(network, next(batches(store, encoding))).backward()
    for name, weight in weights.items():
        assert_close(weight.detach(), before[name], rtol=0, atol=0)
        assert 0.3 < (weight.grad == 0).double().mean() < 0.7
    assert set(network.state_dict()) == set(small(encoding, Options(), cell=cell).state_dict())


def test_penalties_are_those_of_the_paper(tmp_path):
    _, encoding, store = prepared(tmp_path, steps=16)
    batch = next(batches(store, encoding))
    network = made(encoding, activation=2.0, slowness=3.0, dropout=0.4)
    torch.manual_seed(SEED)
    found = TASK.losses(network, batch).penalty
    torch.manual_seed(SEED)
    _, _, dropped, plain = network(batch["input"])
    expected = 2 * (dropped**2).mean() + 3 * ((plain[1:] - plain[:-1]) ** 2).mean()
    assert_close(found, expected, rtol=1e-12, atol=0)
    assert TASK.losses(network.eval(), batch).penalty is None


def test_a_tied_softmax_is_the_embedding_and_is_kept_once(tmp_path):
    _, encoding, _ = prepared(tmp_path)
    network = small(encoding, Options(tied="yes"))
    assert network.embedding.embedding_dim == 8
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    assert sum("embedding" in name or "softmax" in name for name in load_file(tmp_path / "weights.safetensors")) == 2
    with pytest.raises(ValueError, match="tied: units are embedded in 5 numbers, but the last layer puts out 8"):
        small(encoding, Options(tied="yes", embedding_size=5))
    assert not small(encoding, Options()).tied and small(encoding | {"units": "words"}, Options()).tied
    assert small(encoding, Options(tied="yes"), switches={"proj_size": 3}).embedding.embedding_dim == 3


def test_it_begins_with_what_is_known_of_frequencies(tmp_path):
    options, encoding, store = prepared(tmp_path)
    torch.manual_seed(SEED)
    network = TASK.network(encoding, options, TASK.layers)
    found = TASK.evaluate(network.eval(), batches(store, encoding, 1, False), encoding, options)
    counts = torch.tensor(encoding["counts"], dtype=torch.float64)
    shares = counts[counts > 0] / counts.sum()
    assert abs(found["nats"] + float((shares * shares.log()).sum())) < 0.1


def test_metrics_agree_with_each_other_and_with_the_sums(tmp_path):
    options, encoding, store = prepared(tmp_path, units="words", smallest_count=20)
    network = small(encoding, options).eval()
    found = TASK.evaluate(network, batches(store, encoding, 1, False), encoding, options)
    sums = [TASK.losses(network, batch) for batch in batches(store, encoding, 1, False)]
    count = sum(int(losses.counts.sum()) for losses in sums)
    assert set(found) == {*TASK.metrics, "loss"}
    assert found["perplexity"] == pytest.approx(math.exp(found["nats"])) and found["loss"] == found["nats"]
    assert found["bits_per_character"] == pytest.approx(found["nats"] * count / math.log(2) / len(TEXT))
    numbers = store.column("units")[1:]
    assert found["unknown"] == pytest.approx((numbers == 1).mean()) and 0 < found["unknown"] < 1
    with pytest.raises(DataError, match="no unit to foresee"):
        Judgement(None).metrics()


def test_the_baseline_is_scored_on_the_same_units(tmp_path):
    options, encoding, store = prepared(tmp_path)
    found = TASK.baseline(batches(store, encoding, 1, False), encoding, options)
    assert set(found) == {*TASK.metrics, "loss"}
    counts = torch.tensor(encoding["counts"], dtype=torch.float64)
    alone = -(counts[counts > 0] / counts.sum()).log() @ counts[counts > 0] / counts.sum()
    assert 0.3 < found["nats"] < 0.8 * float(alone) and found["accuracy"] > 0.3


def trained(encoding, store, options, epochs=16, **layers):
    network = small(encoding, options, dtype=torch.float32, hidden_size=32, **layers)
    with torch.no_grad():
        for weight in network.parameters():
            weight.div_(3)
    by = torch.optim.Adam(network.parameters(), 1e-2)
    loader = TASK.loader(store, encoding, Learning(batch_size=4, seed=SEED), training=True)
    for epoch in range(epochs):
        state = None
        for batch in loader.epoch(epoch):
            found = TASK.losses(network, batch, state)
            state = found.state
            by.zero_grad()
            (found.sums.sum() / found.counts.sum()).backward()
            by.step()
    return network.eval()


def test_a_repetitive_text_is_learned_and_others_are_learned_from_while_they_are_scored(tmp_path):
    options, encoding, store = prepared(tmp_path, steps=32)
    network = trained(encoding, store, options)
    base = TASK.baseline(batches(store, encoding, 1, False), encoding, options)
    found = TASK.evaluate(network, batches(store, encoding, 1, False), encoding, options)
    assert found["nats"] < 0.5 * base["nats"] and found["accuracy"] > 0.85
    # Another text of the same letters, that says one thing again and again.
    (tmp_path / "other").mkdir()
    _, _, other = prepared(tmp_path / "other", "the rotten moth tie\n" * 60)
    rows = list(TASK.encode(TASK.read([tmp_path / "other" / "text.txt"], options), encoding, options))
    other = type(other).write(tmp_path / "rows2", iter(rows))
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    still = TASK.evaluate(network, batches(other, encoding, 1, False), encoding, options)
    dynamic = Options(dynamic_rate=0.3, dynamic_decay=0.0)
    going_on = TASK.evaluate(network, batches(other, encoding, 1, False), encoding, dynamic)
    assert going_on["nats"] < 0.7 * still["nats"]
    back = Options(dynamic_rate=0.3, dynamic_decay=0.5)
    assert going_on["nats"] < TASK.evaluate(network, batches(other, encoding, 1, False), encoding, back)["nats"]
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())
    # It learns only from what was scored: the first steps cost what they cost anyway.
    few = Options(dynamic_rate=0.3, dynamic_steps=10_000)
    first = [next(batches(other, encoding | {"steps": 20}, 1, False))]
    scored = [TASK.evaluate(network, first, encoding, choice)["nats"] for choice in (options, few)]
    assert scored[0] == pytest.approx(scored[1], rel=1e-6)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_what_is_exported_is_the_network(tmp_path, cell):
    options, encoding, _ = prepared(tmp_path)
    network = small(encoding, options, cell=cell, num_layers=2, dtype=torch.float32).eval()
    found = TASK.exported(network, encoding, options)
    torch.manual_seed(SEED)
    units = torch.randint(2, 20, (7, 3))
    states = [torch.zeros(1, 3, 8) for _ in list(found.inputs)[1:]]
    with torch.no_grad():
        first, *states = found.module(units[:4], *states)
        second, *_ = found.module(units[4:], *states)
        assert_close(torch.cat([first, second]), network(units)[0])
    assert len(found.outputs) == len(found.inputs) and found.axes.keys() == found.inputs.keys()
    axes = {name: {k: torch.export.Dim(word) for k, word in own.items()} for name, own in found.axes.items()}
    shapes = {"input": axes.pop("input"), "states": tuple(axes.values())}
    program = torch.export.export(found.module, tuple(found.inputs.values()), dynamic_shapes=shapes)
    with torch.no_grad():
        assert_close(program.module()(units, *states)[0], found.module(units, *states)[0])
