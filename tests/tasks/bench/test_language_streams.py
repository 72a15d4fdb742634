"""Streams of a text: what is read, asked for and carried on, and that it comes to the same however it is cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tasks.bench.language_texts import SEED, TEXT, documents, prepared, read, small
from torch.testing import assert_close

from headgate.data import DataError, Store
from headgate.tasks.bench.language import TASK, streams
from headgate.tasks.bench.language.options import Options
from headgate.tasks.bench.language.streams import Streams
from headgate.tasks.loading import ABSENT
from headgate.tasks.settings import Learning


@pytest.fixture
def numbers(tmp_path):
    """A store whose units count up, so that a unit is its own place."""

    def made(count, starts=(0,)):
        rows = [{"units": np.arange(count, dtype=np.int32), "starts": np.asarray(starts, np.int64)}]
        return Store.write(tmp_path / "numbers", iter(rows))

    return made


def asked(batch):
    return batch.get("asked", torch.ones_like(batch["target"], dtype=torch.bool))


@pytest.mark.parametrize("count", [2, 7, 64, 65, 1000, 5003])
@pytest.mark.parametrize("size", [1, 3, 8])
def test_every_unit_but_the_first_is_asked_for_once(numbers, monkeypatch, count, size):
    monkeypatch.setattr(streams, "WARM_UP", 8)
    loader = Streams(numbers(count), size, 16, False, 0, training=False)
    batches = list(loader.epoch(0))
    assert len(batches) == len(loader)
    found = torch.cat([batch["target"][asked(batch)] for batch in batches])
    assert found.sort().values.tolist() == list(range(1, count))
    for batch in batches:
        assert_close(batch["target"][asked(batch)], batch["input"][asked(batch)] + 1)
    # Every stream but the first has read something before.
    first = batches[0]
    if first["input"].shape[1] > 1:
        assert asked(first)[:, 0].all() and not asked(first)[:8, 1:].any()
        assert (first["input"][0, 1:] > 0).all()


@pytest.mark.parametrize("random_steps", [False, True])
@pytest.mark.parametrize("count", [3, 40, 1000])
def test_training_reads_on_where_it_stopped_and_leaves_little_out(numbers, random_steps, count):
    loader = Streams(numbers(count), 4, 10, random_steps, SEED, training=True)
    offsets, lengths = set(), set()
    for epoch in range(6):
        batches = list(loader.epoch(epoch))
        assert len(batches) == len(loader) and all(len(batch["input"]) for batch in batches)
        assert [bool(batch["fresh"]) for batch in batches] == [True] + [False] * (len(loader) - 1)
        whole = torch.cat([batch["input"] for batch in batches])
        assert (whole.diff(dim=0) == 1).all()
        assert all((batch["target"] == batch["input"] + 1).all() and "asked" not in batch for batch in batches)
        assert whole.numel() >= count - 1 - 10 - 4 and len(set(whole.flatten().tolist())) == whole.numel()
        offsets.add(int(whole[0, 0]))
        lengths.add(tuple(len(batch["input"]) for batch in batches))
    if count == 1000:
        assert len(offsets) > 2 and (len(lengths) > 2) == random_steps


@pytest.mark.parametrize("training", [False, True])
def test_epochs_are_repeated_exactly_and_from_any_batch(numbers, training):
    store = numbers(3000)
    whole, again = (list(Streams(store, 4, 13, True, SEED, training).epoch(2)) for _ in range(2))
    later = list(Streams(store, 4, 13, True, SEED, training).epoch(2, start=3))
    for one, two in [*zip(whole, again, strict=True), *zip(whole[3:], later, strict=True)]:
        assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("world", [2, 3, 5])
def test_shares_are_the_streams_in_turn(numbers, world):
    loader = Streams(numbers(1000), 4, 10, False, SEED, training=True)
    whole = list(loader.epoch(1))
    shares = [list(loader.epoch(1, share=(rank, world))) for rank in range(world)]
    for k, batch in enumerate(whole):
        for rank in range(world):
            own = shares[rank][k]
            assert (ABSENT in own) == (rank >= 4)
            if ABSENT not in own:
                assert torch.equal(own["input"], batch["input"][:, rank::world])


def test_documents_begin_anew_but_for_the_first_step(numbers):
    loader = Streams(numbers(40, starts=[0, 5, 12, 29]), 1, 6, False, 0, training=False)
    found = [batch.get("reset", torch.zeros(6, 1, dtype=torch.bool)) for batch in loader.epoch(0)]
    assert torch.cat(found).flatten().nonzero().flatten().tolist() == [5, 12, 29]
    assert "reset" not in next(loader.epoch(0, start=3))


@pytest.mark.parametrize("count", [0, 1])
def test_too_little_text_is_refused(numbers, count):
    with pytest.raises(DataError, match=f"has {count} units, but at least 2"):
        Streams(numbers(count), 4, 10, False, 0, training=True)


def test_widths_are_those_of_the_targets(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "WARM_UP", 4)
    _, encoding, store = prepared(tmp_path, units="words", smallest_count=1)
    for size in (1, 5):
        batches = list(TASK.loader(store, encoding, Learning(batch_size=size), training=False).epoch(0))
        assert sum(int(batch["characters"].sum()) for batch in batches) == len(TEXT)


def total(network, batches, carried=True):
    """Of all batches: losses of each unit asked for, summed."""
    state, found = None, 0.0
    with torch.no_grad():
        for batch in batches:
            losses = TASK.losses(network, batch, state if carried else None)
            state = losses.state
            found += losses.sums.sum()
    return found


def in_steps(store, encoding, steps, size=1, **more):
    loader = TASK.loader(store, encoding | {"steps": steps}, Learning(batch_size=size), training=False)
    return loader.epoch(0, **more)


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_a_stream_in_batches_costs_what_one_long_run_does(tmp_path, cell):
    options, encoding, store = prepared(tmp_path)
    network = small(encoding, options, cell=cell, num_layers=2).eval()
    whole = total(network, in_steps(store, encoding, 10_000))
    for steps in (7, 100):
        assert_close(total(network, in_steps(store, encoding, steps)), whole, rtol=1e-12, atol=0)
    # A state that is dropped is noticed.
    assert abs(total(network, in_steps(store, encoding, 7), carried=False) - whole) > 1e-3 * whole


@pytest.mark.parametrize("settings", [{}, {"cell": "gru", "num_layers": 2}, {"switches": {"learnable_state": True}}])
def test_documents_cost_together_what_they_do_apart(tmp_path, settings):
    texts = ["To be", "or not to be", "th", "a", "t", "is the question.\n"]
    paths = documents(tmp_path, texts)
    encoding = TASK.learn(read(paths), Options())
    network = small(encoding, Options(), **settings).eval()
    with torch.no_grad():
        for name in [name for name in network.state_dict() if "initial" in name]:
            network.get_parameter(name).fill_(0.5)

    def cost(passages):
        store = Store.write(tmp_path / "rows", TASK.encode(passages, encoding, Options()))
        return total(network, in_steps(store, encoding, 6))

    apart = sum(cost(read([path])) for path in paths)
    together = cost(read(paths))
    # Together, the last unit of each but the last document has END to foresee.
    ends = 0.0
    for path in paths[:-1]:
        store = Store.write(tmp_path / "rows", TASK.encode(read([path]), encoding, Options()))
        units = torch.from_numpy(store.column("units").astype(np.int64))
        with torch.no_grad():
            ends -= network(units[:, None])[0][-1, 0].log_softmax(-1)[units[0]]
    assert_close(together, apart + ends, rtol=1e-12, atol=0)
    joined = cost(read(paths, documents="joined"))
    assert abs(joined - together) > 1e-3 * together


def test_two_ranks_cost_together_what_one_does(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "WARM_UP", 8)
    options, encoding, store = prepared(tmp_path)
    network = small(encoding, options).eval()
    whole = total(network, in_steps(store, encoding, 9, size=5))
    shares = [total(network, in_steps(store, encoding, 9, size=5, share=(rank, 2))) for rank in (0, 1)]
    assert_close(shares[0] + shares[1], whole, rtol=1e-12, atol=0)


def test_streams_that_warm_up_cost_nearly_what_one_does(tmp_path, monkeypatch):
    options, encoding, store = prepared(tmp_path)
    network = small(encoding, options).eval()
    one = float(total(network, in_steps(store, encoding, 32)))
    off = {}
    for warm in (1, 64):
        monkeypatch.setattr(streams, "WARM_UP", warm)
        off[warm] = abs(float(total(network, in_steps(store, encoding, 32, size=2))) - one)
    assert off[64] < 1e-3 * off[1]
