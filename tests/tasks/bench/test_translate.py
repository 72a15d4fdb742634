"""The task: pairs to rows, a loss, metrics beside the copied source, translations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from headgate.data import Example, Store
from headgate.data.example import Place
from headgate.data.subwords import Subwords
from headgate.tasks import bench
from headgate.tasks.bench.translate.options import Options
from headgate.tasks.bench.translate.scores import bleu, chrf
from headgate.tasks.settings import Layers

TASK = bench.get("translate")
WORDS = ["red", "green", "blue", "small", "large", "house", "tree", "dog"]


def examples(count=16, seed=0):
    """Words to the same words the other way round."""
    random = np.random.default_rng(seed)
    for k in range(count):
        words = [WORDS[i] for i in random.integers(0, len(WORDS), random.integers(4, 7))]
        yield Example(" ".join(words), " ".join(reversed(words)), Place("made up", k + 1))


def prepared(folder, options, count=16):
    encoding = TASK.learn(examples(count), options)
    return encoding, Store.write(folder / "rows", TASK.encode(examples(count), encoding, options))


def trained(folder, options, cell="lstm", steps=250):
    torch.manual_seed(0)
    encoding, store = prepared(folder, options)
    network = TASK.network(encoding, options, Layers(cell, 32))
    optimiser = torch.optim.Adam(network.parameters(), 0.02)
    learning = replace(TASK.learning, batch_size=16)
    loader = TASK.loader(store, encoding, learning, training=True)
    for epoch in range(steps):
        for batch in loader.epoch(epoch):
            found = TASK.losses(network, batch)
            optimiser.zero_grad()
            (found.sums.sum() / found.counts.sum()).backward()
            optimiser.step()
    batches = list(TASK.loader(store, encoding, learning, training=False).epoch(0))
    return network.eval(), encoding, batches


@pytest.mark.parametrize(
    ("cell", "settings"),
    [("lstm", {}), ("gru", {"attention": "mlp", "input_feeding": True})],
    ids=["lstm", "gru, mlp, input feeding"],
)
def test_a_few_pairs_are_learned_by_heart(tmp_path, cell, settings):
    options = Options(embedding=24, smoothing=0.0, pieces=500, **settings)
    network, encoding, batches = trained(tmp_path, options, cell)
    measured = TASK.evaluate(network, batches, encoding, options)
    assert measured["bleu"] > 95 and measured["accuracy"] > 0.98 and measured["perplexity"] < 1.1
    assert TASK.metrics.keys() | {"loss"} == measured.keys()
    beside = TASK.baseline(batches, encoding, options)
    assert beside["bleu"] < 50 and beside.keys() <= TASK.metrics.keys()
    answers = list(TASK.predict(network, examples(), encoding, options))
    assert [a["translation"] for a in answers] == [example.target for example in examples()]
    assert all(a["notes"] == [] and a["score"] <= 0 for a in answers)


def test_a_row_is_its_pieces_between_marks(tmp_path):
    options = Options(longest=5)
    encoding, store = prepared(tmp_path, options)
    subwords = Subwords.from_json(encoding["subwords"])
    for row, example in zip(range(len(store)), examples(), strict=True):
        source, target = store[row]["source"], store[row]["target"]
        assert target[0] == subwords.mark("<start>") and target[-1] == source[-1] == subwords.mark("<end>")
        assert subwords.text(target) == example.target
        assert example.input.startswith(subwords.text(source)) and len(source) <= 6


def test_losses_are_those_of_the_rows_alone(tmp_path):
    """Neither padding nor neighbours count, and the start is not asked for."""
    options = Options(embedding=8, smoothing=0.0)
    encoding, store = prepared(tmp_path, options, 6)
    network = TASK.network(encoding, options, Layers(hidden_size=8)).double().eval()
    together = next(iter(TASK.loader(store, encoding, TASK.learning, training=False).epoch(0)))
    found = TASK.losses(network, together)
    assert found.counts.tolist() == (together["target_lengths"] - 1).tolist()
    for k in range(6):
        S, U = int(together["source_lengths"][k]), int(together["target_lengths"][k])
        own = {"source": together["source"][:S, k : k + 1], "target": together["target"][:U, k : k + 1]}
        own |= {"source_lengths": torch.tensor([S]), "target_lengths": torch.tensor([U])}
        torch.testing.assert_close(TASK.losses(network, own).sums[0], found.sums[k])


def test_smoothing_is_for_training_alone(tmp_path):
    options = Options(embedding=8, smoothing=0.3)
    encoding, store = prepared(tmp_path, options, 6)
    network = TASK.network(encoding, options, Layers(hidden_size=8))
    batch = next(iter(TASK.loader(store, encoding, TASK.learning, training=False).epoch(0)))
    with torch.no_grad():
        network.embedding.weight.mul_(5)
        assert not torch.allclose(TASK.losses(network.train(), batch).sums, TASK.losses(network.eval(), batch).sums)


def test_unusual_sources_are_translated_and_said(tmp_path):
    options = Options(embedding=8, longest=4, beam=2)
    encoding, _ = prepared(tmp_path, options)
    network = TASK.network(encoding, options, Layers(hidden_size=8)).eval()
    rows = [Example(text, None, Place("x", 1)) for text in ("", "red", "日本 " * 9)]
    empty, usual, long = TASK.predict(network, rows, encoding, options)
    assert "the source is empty" in empty["notes"]
    assert not any("source" in note for note in usual["notes"])
    assert any("the first 4 were read" in note for note in long["notes"])


def test_scores_are_sacrebleus():
    wanted = ["the cat sat on the mat", "a dog barked at the tall man"]
    assert bleu(wanted, wanted) == pytest.approx(100) and chrf(wanted, wanted) == pytest.approx(100)
    # By hand: 5 of 6 words, 4 of 5 pairs, 3 of 4 triples, 2 of 3 quadruples; no penalty for brevity.
    by_hand = 100 * (5 / 6 * 4 / 5 * 3 / 4 * 2 / 3) ** 0.25
    assert bleu(["the cat sat on the rug"], wanted[:1]) == pytest.approx(by_hand)
    assert bleu([], []) == chrf([], []) == 0


def test_what_a_check_says():
    found = TASK.describe([*examples(4), Example("", "x", Place("x", 1)), Example("y", "y", Place("x", 2))])
    assert found["rows"] == 6 and found["empty_sources"] == 1 and found["copies"] >= 1
    assert found["words_source"]["smallest"] == 0 and found["words_source"]["largest"] <= 6


def test_learning_by_heart_can_fail(tmp_path):
    """Without attention to the source the pairs cannot be told apart."""
    options = Options(embedding=24, smoothing=0.0, pieces=500)
    encoding, store = prepared(tmp_path, options)
    network = TASK.network(encoding, options, Layers(hidden_size=32))
    batches = list(TASK.loader(store, encoding, TASK.learning, training=False).epoch(0))
    assert TASK.evaluate(network.eval(), batches, encoding, options)["bleu"] < 5
