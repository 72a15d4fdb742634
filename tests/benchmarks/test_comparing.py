"""Nothing is timed that was not found equal: a peer with another equation is refused, and what differs is named."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks import limits, measuring, problem, row
from benchmarks.measuring import QUICK, Differs
from benchmarks.peers import torch_compile, torch_nn
from benchmarks.seat import Ended, Failed, Far, Seat, serve
from benchmarks.torch_runs import layer_of_ours
from benchmarks.workloads import BOTH, FORWARD, OWN_CELL, STEP, Workload


@pytest.fixture(autouse=True)
def quick_limits(monkeypatch):
    """What the machine can do is measured on less."""
    monkeypatch.setattr(limits, "SIDE", 64)
    monkeypatch.setattr(limits, "NUMBERS", 1 << 12)


def small(**changes) -> Workload:
    return replace(Workload("small", "for tests", "lstm", 9, 3, 7, {"torch_nn": None}), **changes)


def changed(peer, change) -> SimpleNamespace:
    """The peer, given other weights than ours."""

    def prepare(numbers, threads):
        return peer.prepare(replace(numbers, weights=change(numbers.weights)), threads)

    return SimpleNamespace(prepare=prepare)


def compared(workload, peer) -> dict:
    """Ours beside the peer, both in this process."""
    numbers = problem.make(workload)
    both = [Seat(contender, QUICK) for contender in (layer_of_ours(numbers), peer.prepare(numbers, 1))]
    return row.compare(workload, *both, QUICK)


KINDS = {
    "forward": small(mode=FORWARD),
    "both": small(),
    "both, GRU": small(cell="gru"),
    "lengths": small(lengths=True),
    "steps": small(mode=STEP),
    "steps, GRU": small(cell="gru", mode=STEP),
    "bf16": small(dtype="bfloat16"),
}


@pytest.mark.parametrize("workload", KINDS.values(), ids=KINDS)
def test_torch_computes_what_we_compute_and_both_are_timed(workload):
    found = compared(workload, torch_nn)
    names = {"output"} | ({"d_x", "d_weight_ih", "d_weight_hh", "d_bias_ih", "d_bias_hh"} if workload.trains else set())
    assert set(found["deviation"]) == set(found["error_ours"]) == set(found["error_peer"]) == names
    assert found["ours_s"] > 0 and found["peer_s"] > 0 and found["ratio"] == found["peer_s"] / found["ours_s"]
    assert [len(turns) for turns in found["turns"]] == [QUICK.turns] * 2
    assert found["limit_s"] > 0
    assert max(found["error_ours"].values()) < measuring.TOLERANCE[workload.dtype]


@pytest.mark.parametrize("name", ("weight_ih", "weight_hh", "bias_ih"))
@pytest.mark.parametrize("kind", ("forward", "both", "lengths", "steps, GRU"))
def test_weights_one_percent_off_are_refused_before_anything_is_timed(kind, name, monkeypatch):
    monkeypatch.setattr(row, "in_turn", lambda *_: pytest.fail("timed, though the results differ"))
    mutant = changed(torch_nn, lambda weights: {**weights, name: 1.01 * weights[name]})
    with pytest.raises(Differs, match="differs by"):
        compared(KINDS[kind], mutant)


def test_a_dropped_bias_is_refused_in_bf16(monkeypatch):
    monkeypatch.setattr(row, "in_turn", lambda *_: pytest.fail("timed, though the results differ"))
    mutant = changed(torch_nn, lambda weights: {**weights, "bias_hh": torch.zeros_like(weights["bias_hh"])})
    with pytest.raises(Differs, match="differs by"):
        compared(KINDS["bf16"], mutant)


@pytest.mark.parametrize(
    ("found", "words"),
    (
        ({"output": np.array([1.0, 2.0])}, "it returns output, not d_x, output"),
        ({"output": np.ones(2), "d_x": np.ones(3)}, r"d_x has shape \[3\], not \[2\]"),
        ({"output": np.ones(2), "d_x": np.array([1.0, 1.001])}, "d_x differs by 1.0e-03 .*allowed 1e-04"),
        ({"output": np.array([1.0, np.nan]), "d_x": np.ones(2)}, "output differs by nan"),
    ),
    ids=("missing", "shape", "value", "nan"),
)
def test_what_differs_is_named(found, words):
    with pytest.raises(Differs, match=words):
        measuring.check({"output": np.ones(2), "d_x": np.ones(2)}, found, "float32")


def test_masks_are_the_same_for_both_and_fresh_in_every_call():
    """Zoneout in training: the seed is set before results are taken, and not before calls that are timed."""
    numbers = problem.make(small(options={"zoneout": 0.5}))
    ours, eager = layer_of_ours(numbers), layer_of_ours(numbers, "eager")
    first = measuring.results(ours)
    measuring.check(first, measuring.results(eager), "float32")
    measuring.check(first, problem.truth(numbers), "float32")
    with pytest.raises(Differs):
        measuring.check(first, eager.named(eager.run()), "float32")


@pytest.mark.parametrize("cell", torch_compile.STEPS)
def test_loops_written_by_hand_are_our_cells(cell, monkeypatch):
    """Uncompiled, since compiling takes a minute; the suite compares what is compiled before it times it."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    found = compared(small(cell=cell), torch_compile)
    assert "d_weight_hh" in found["deviation"]


def test_the_own_cell_is_the_example():
    assert problem.layer(small(cell=OWN_CELL)).cell.name.startswith("MyCell")


def test_operations_are_counted_once_a_step_and_row():
    numbers = problem.make(small(mode=FORWARD))
    assert numbers.operations == 2 * 7 * 3 * (2 * 4 * 9 * 9)
    assert problem.make(small(mode=BOTH)).operations == 3 * numbers.operations
    assert problem.make(small(mode=FORWARD, lengths=True)).operations < numbers.operations


def test_long_calls_get_fewer_turns():
    plan = measuring.Plan(turns=9, fewest=2, turn_s=0.0, most_s=0.0, pause_s=0.0, most_pause_s=0.0)
    seat = Seat(SimpleNamespace(run=lambda: None), plan)
    assert [len(turns) for turns in measuring.in_turn([seat, seat], plan)] == [2, 2]


@pytest.fixture
def far():
    """Makes a `Far`, whose seat is in a thread."""
    pipes, threads = [], []

    def put(make) -> Far:
        mine, other = multiprocessing.Pipe()
        threads.append(threading.Thread(target=serve, args=(make, other)))
        threads[-1].start()
        pipes.append(mine)
        return Far(mine)

    yield put
    for end, thread in zip(pipes, threads, strict=True):
        end.close()
        thread.join()


def test_a_seat_far_away_is_as_one_here(far):
    numbers = problem.make(small())
    here, there = (seat(lambda: Seat(layer_of_ours(numbers), QUICK)) for seat in (lambda make: make(), far))
    assert here.engine() == there.engine()
    assert measuring.deviations(there.results(), here.results())["d_weight_hh"] == 0
    assert there.turn(settle=True) > 0


def test_what_a_seat_raises_is_told(far):
    """And what raised once may be asked again."""

    def missing():
        raise LookupError("no such layer\nmore words")

    seat = far(missing)
    for _ in range(2):
        with pytest.raises(Failed, match=r"^LookupError: no such layer$"):
            seat.results()


def test_a_seat_that_is_no_more_ends_the_task():
    mine, other = multiprocessing.Pipe()
    other.close()
    with pytest.raises(Ended):
        Far(mine).turn(settle=False)
    task = {"workload": "lstm-forward-128x1x128", "peer": "torch_nn", "threads": 1, "quick": True, "first": False}
    with pytest.raises(SystemExit):
        row.run(task, [mine, mine])


@pytest.mark.parametrize(("spins_s", "most_s"), [(0.2, 5.0), (5.0, 0.3)])
def test_turns_wait_for_threads_that_spin(spins_s, most_s):
    """A thread that computes on after a call would slow the other down; one without end is not waited for."""
    ends, start = threading.Event(), time.perf_counter()

    def spin():
        while time.perf_counter() - start < spins_s and not ends.is_set():
            pass

    thread = threading.Thread(target=spin)
    thread.start()
    measuring.pause(measuring.Plan(pause_s=0.05, most_pause_s=most_s))
    waited = time.perf_counter() - start
    assert thread.is_alive() == (spins_s > most_s)
    assert waited >= min(spins_s, most_s)
    ends.set()
    thread.join()


HOLDING = """
import json
from types import SimpleNamespace
import numpy as np
from benchmarks import measuring
held = []
def prepare():
    held.append(np.ones(1 << 22))
    return SimpleNamespace(run=lambda: np.ones(1 << 20).sum())
print(json.dumps(measuring.first_call(prepare)))
"""


def test_a_first_call_says_how_long_and_how_much():
    """In a fresh process, as it is meant: one that has freed memory before need not ask the system for more."""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", HOLDING], cwd=root, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["first_s"] > 0
    if found["memory_bytes"] is None:
        pytest.skip("this system does not tell a process's peak of memory")
    assert found["memory_bytes"] >= 8 << 22
