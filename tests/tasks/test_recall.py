"""The long-lag tasks ask what they say they ask, found out again step by step without their own code."""

from __future__ import annotations

import math

import pytest
import torch

from headgate import tasks
from headgate.tasks.recall import Adding, Copy, TemporalOrder
from headgate.tasks.task import Batch, generator

RECALL = ("adding", "order", "copy")


def adding_answers(batch: Batch) -> list[float]:
    """The sums, by reading each sequence as a person would; refuses marks that stand where they must not."""
    answers = []
    for row in range(batch.input.shape[1]):
        numbers, marks = batch.input[:, row, 0].tolist(), batch.input[:, row, 1].tolist()
        marked = [t for t, mark in enumerate(marks) if mark == 1]
        assert len(marked) == 2
        assert marked[0] < 10 and len(marks) - 1 - marked[0] >= 100, "the first number is too near to the end"
        assert marked[1] < len(marks) // 2
        assert marks[-1] == -1 and (marks[0] == -1 or marked[0] == 0)
        assert all(mark in (-1, 0, 1) for mark in marks) and marks.count(-1) == (1 if marked[0] == 0 else 2)
        assert marked[0] != 0 or numbers[0] == 0
        answers.append(0.5 + (numbers[marked[0]] + numbers[marked[1]]) / 4)
    return answers


def order_answers(batch: Batch) -> list[int]:
    words = batch.input.argmax(-1)
    answers = []
    for row in range(words.shape[1]):
        symbols = [TemporalOrder.symbols.split()[k] for k in words[:, row].tolist()]
        assert symbols[0] == "start" and symbols[-1] == "end"
        places = [t for t, symbol in enumerate(symbols) if symbol in "XY"]
        assert len(places) == 2 and 10 <= places[0] <= 20 and 50 <= places[1] <= 60
        answers.append(["XX", "XY", "YX", "YY"].index("".join(symbols[t] for t in places)))
    return answers


def copy_answers(batch: Batch) -> list[list[int]]:
    answers = []
    for row in range(batch.input.shape[1]):
        shown = batch.input[:, row].argmax(-1).tolist()
        assert shown[10:] == [8] * 99 + [9] + [8] * 10
        answers.append(shown[:10])
    return answers


def test_adding_asks_for_the_sum_of_the_marked_numbers():
    batch = tasks.get("adding").held_out()
    assert batch.input.shape == (110, 2560, 2)
    torch.testing.assert_close(batch.target.flatten(), torch.tensor(adding_answers(batch)), atol=1e-6, rtol=0)


def test_order_asks_for_the_order():
    batch = tasks.get("order").held_out()
    assert batch.input.shape == (100, 2560, 8)
    assert batch.target.flatten().tolist() == order_answers(batch)


def test_copy_asks_for_the_symbols():
    batch = tasks.get("copy").held_out()
    assert batch.input.shape == (120, 2560, 10)
    assert batch.target.T.tolist() == copy_answers(batch)


def test_a_wrong_mark_would_be_seen():
    batch = Adding().draw(generator(5, "test"), 3)
    batch.input[60, 0, 1] = 1
    with pytest.raises(AssertionError):
        adding_answers(batch)


@pytest.mark.parametrize("lag", (20, 150))
def test_lag_is_what_it_says(lag):
    batch = Adding(lag=lag).draw(generator(0, "train"), 500)
    first = (batch.input[:, :, 1] == 1).int().argmax(0)
    assert len(batch.input) == lag + 10 and (len(batch.input) - 1 - first).min() == lag
    assert len(Copy(lag=lag).draw(generator(0, "train"), 2).input) == lag + 20


def trivial_prediction(task, batch: Batch, random: torch.Generator) -> torch.Tensor:
    """What someone says who has not looked: the mean of the targets, or any class."""
    if task.output_size == 1:
        return torch.full_like(batch.target, 0.5)
    guesses = torch.randint(0, task.output_size, batch.target.shape, generator=random)
    return torch.nn.functional.one_hot(guesses, task.output_size).float()


@pytest.mark.parametrize("name", RECALL)
def test_baseline_is_what_guessing_gets(name):
    """Derived by hand in the task, found here by trying: within four standard errors."""
    task, size = tasks.get(name), 40_000
    batch = task.draw(generator(3, "validation"), size)
    tried = task.measure(trivial_prediction(task, batch, generator(4, "validation")), batch.target)
    baseline = task.baseline()
    assert set(tried) == set(baseline) - {"loss"}
    for metric, value in tried.items():
        spread = 0.12 if metric == "mean_error" else math.sqrt(baseline[metric] * (1 - baseline[metric]))
        assert abs(value - baseline[metric]) < 4 * spread / math.sqrt(size) + 1e-9, metric
    flat = trivial_prediction(task, batch, generator(0, "train")) if task.output_size == 1 else None
    even = torch.zeros(*batch.target.shape, task.output_size) if flat is None else flat
    assert abs(task.loss(even, batch.target).item() - baseline["loss"]) < 0.01 * baseline["loss"]


@pytest.mark.parametrize("name", RECALL)
def test_a_seed_gives_its_own_sequences_and_splits_share_none(name):
    task = tasks.get(name)
    again, other = (next(task.batches(seed, 50)).input for seed in (7, 8))
    batches = task.batches(7, 50)
    first, second = next(batches).input, next(batches).input
    assert torch.equal(first, again)
    assert not torch.equal(first, other) and not torch.equal(first, second)
    seen = {tuple(row.flatten().tolist()) for seed in range(3) for row in next(task.batches(seed, 300)).input.unbind(1)}
    held_out = [
        tuple(row.flatten().tolist()) for s in ("validation", "test") for row in task.held_out(s).input.unbind(1)
    ]
    assert len(seen) == 900 and not seen.intersection(held_out)
    assert torch.equal(task.held_out().input, task.held_out().input)


@pytest.mark.parametrize(
    ("name", "measured", "solved"),
    (
        ("adding", {"correct": 1 - 3 / 2560, "mean_error": 0.0099}, True),
        ("adding", {"correct": 1 - 4 / 2560, "mean_error": 0.0099}, False),
        ("adding", {"correct": 1.0, "mean_error": 0.0101}, False),
        ("order", {"correct": 1 - 3 / 2560, "accuracy": 1.0}, True),
        ("order", {"correct": 1 - 4 / 2560, "accuracy": 1.0}, False),
        ("copy", {"correct": 1 - 4 / 2560, "accuracy": 1.0}, False),
        ("digits", {"accuracy": 0.9}, True),
        ("digits", {"accuracy": 0.899}, False),
    ),
)
def test_the_rule_has_an_edge(name, measured, solved):
    assert tasks.get(name).solved(measured) is solved


@pytest.mark.parametrize("name", tasks.names())
def test_the_baseline_never_solves_the_task(name):
    task = tasks.get(name)
    assert not task.solved(task.baseline())
    assert task.score in task.baseline()


@pytest.mark.parametrize("name", tasks.names())
def test_perfect_answers_solve_the_task(name):
    task = tasks.get(name)
    target = task.held_out().target
    perfect = target if task.output_size == 1 else torch.nn.functional.one_hot(target, task.output_size).float()
    assert task.solved(task.measure(perfect, target))


def test_an_unknown_task_and_split_are_refused():
    with pytest.raises(KeyError, match=r"no task named 'ading'; did you mean 'adding'\?"):
        tasks.get("ading")
    with pytest.raises(ValueError, match="choose one of train, validation, test"):
        tasks.get("adding").held_out("dev")
    with pytest.raises(ValueError, match="choose one of train, validation, test"):
        tasks.get("digits").held_out("dev")
