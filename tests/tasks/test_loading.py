"""Batches of a store."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest

from headgate.data import Store
from headgate.tasks.loading import ABSENT, Buckets


@pytest.fixture
def store(tmp_path):
    lengths = np.random.default_rng(0).integers(1, 30, 1_001)
    return Store.write(tmp_path / "rows", ({"x": np.full(T, k), "k": np.array(k)} for k, T in enumerate(lengths)))


def rows_of(batches):
    return [batch["k"].tolist() for batch in batches]


@pytest.mark.parametrize("training", [True, False])
def test_an_epoch_has_every_row_once(store, training):
    loader = Buckets(store, "x", 8, seed=0, training=training)
    found = rows_of(loader.epoch(0))
    assert len(found) == len(loader) == 126
    assert sorted(chain.from_iterable(found)) == list(range(1_001))


def test_rows_are_padded_with_zeros_to_the_longest(store):
    batch = next(iter(Buckets(store, "x", 8, seed=0, training=True).epoch(0)))
    assert batch["x"].shape == (batch["x_lengths"].max(), 8)
    for row, (length, k) in enumerate(zip(batch["x_lengths"], batch["k"], strict=True)):
        assert batch["x"][:length, row].eq(k).all() and batch["x"][length:, row].eq(0).all()


def test_order_hangs_on_seed_and_epoch_alone(store):
    def order(seed, epoch):
        return rows_of(Buckets(store, "x", 8, seed=seed, training=True).epoch(epoch))

    assert order(0, 3) == order(0, 3)
    assert order(0, 3) != order(0, 4) and order(0, 3) != order(1, 3)


def test_an_epoch_goes_on_where_it_stopped(store):
    loader = Buckets(store, "x", 8, seed=0, training=True)
    assert rows_of(loader.epoch(2, start=50)) == rows_of(loader.epoch(2))[50:]


def test_little_is_padding(store):
    batches = list(Buckets(store, "x", 8, seed=0, training=True).epoch(0))
    steps, padded = sum(int(b["x_lengths"].sum()) for b in batches), sum(b["x"].numel() for b in batches)
    assert steps / padded > 0.9


def test_devices_share_each_batch(store):
    loader = Buckets(store, "x", 8, seed=0, training=True)
    shares = [list(loader.epoch(1, share=(rank, 3))) for rank in range(3)]
    for whole, *parts in zip(loader.epoch(1), *shares, strict=True):
        there = [part["k"].tolist() for part in parts if ABSENT not in part]
        assert sorted(chain.from_iterable(there)) == sorted(whole["k"].tolist())


def test_a_device_without_a_row_is_told_so(tmp_path):
    store = Store.write(tmp_path / "one", iter([{"x": np.zeros(2), "k": np.array(7)}]))
    (batch,) = Buckets(store, "x", 8, seed=0, training=True).epoch(0, share=(1, 2))
    assert bool(batch[ABSENT]) and batch["k"].tolist() == [7]
