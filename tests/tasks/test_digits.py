"""The digits are read in order, and no picture is both trained on and asked about."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.svm import SVC

from headgate import tasks
from headgate.tasks.digits import HELD_OUT, Digits, indices, sequences

DIGITS = tasks.get("digits")


def test_no_picture_is_in_two_splits():
    splits = indices()
    everything = np.concatenate(list(splits.values()))
    assert sorted(everything) == list(range(1797))
    assert {name: len(chosen) for name, chosen in splits.items() if name != "train"} == HELD_OUT


def test_no_twin_of_a_test_picture_is_trained_on():
    pictures = {name: {row.tobytes() for row in load_digits().data[chosen]} for name, chosen in indices().items()}
    assert not pictures["train"] & pictures["test"]
    assert not pictures["train"] & pictures["validation"]
    assert not pictures["validation"] & pictures["test"]


def test_every_class_is_in_every_split_alike():
    for chosen in indices().values():
        shares = np.bincount(load_digits().target[chosen], minlength=10) / len(chosen)
        assert shares.min() > 0.09 and shares.max() < 0.11


def test_a_sequence_is_its_picture_row_by_row():
    batch, chosen = DIGITS.held_out(), indices()["test"]
    assert batch.input.shape == (64, 360, 1) and batch.target.shape == (1, 360)
    for k in (0, 17, 359):
        picture = load_digits().images[chosen[k]]
        read = [float(picture[t // 8, t % 8]) / 16 for t in range(64)]
        assert torch.allclose(batch.input[:, k, 0], torch.tensor(read))
        assert batch.target[0, k] == load_digits().target[chosen[k]]


def test_training_batches_are_training_pictures_each_once_a_pass():
    batches, size = Digits(noise=0.0).batches(0, 32), 32
    whole = len(indices()["train"]) // size
    seen = [tuple(row.flatten().tolist()) for _ in range(whole) for row in next(batches).input.unbind(1)]
    allowed = {tuple(row.flatten().tolist()) for row in sequences("train").input.unbind(1)}
    assert len(set(seen)) == len(seen) == whole * size and allowed.issuperset(seen)
    first, other = next(DIGITS.batches(0, 32)), next(DIGITS.batches(1, 32))
    assert torch.equal(first.input, next(DIGITS.batches(0, 32)).input) and not torch.equal(first.input, other.input)


def test_training_pictures_are_noisy_and_held_out_ones_are_not():
    clear, noisy = (next(Digits(noise=noise).batches(0, 1000)) for noise in (0.0, 0.1))
    assert torch.equal(clear.target, noisy.target)
    assert abs((noisy.input - clear.input).std().item() - 0.1) < 0.002
    assert torch.equal(Digits(noise=0.0).held_out().input, DIGITS.held_out().input)


def test_baseline_is_the_most_frequent_training_digit():
    labels = {name: load_digits().target[chosen] for name, chosen in indices().items()}
    frequent = np.bincount(labels["train"]).argmax()
    assert DIGITS.baseline()["accuracy"] == np.mean(labels["test"] == frequent)


def test_the_rule_cannot_be_met_by_remembering_its_end():
    """What the rule says of itself: a kernel machine that sees only the last 24 pixels stays below 90 %."""
    train = sequences("train")
    for split in ("validation", "test"):
        held_out = sequences(split)
        for strength in (1.0, 10.0, 100.0):
            machine = SVC(C=strength).fit(train.input[40:, :, 0].T.numpy(), train.target[0].numpy())
            assert machine.score(held_out.input[40:, :, 0].T.numpy(), held_out.target[0].numpy()) < 0.90
