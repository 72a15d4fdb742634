"""Large memory goes from call to call: never to two at once, and nothing of what an earlier call left is ever read."""

import copy
import gc
import io
import math
import subprocess
import sys
import threading

import pytest
import torch

import headgate as hg
from headgate.engines.cpu import stock
from headgate.engines.cpu.buffers import LARGE
from headgate.engines.cpu.library import library

pytestmark = pytest.mark.skipif(library() is None, reason="without a compiled library there is nothing to lend")

NUMBERS = LARGE // 4


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch) -> dict[int, object]:
    """A stock of this test's own."""
    gc.collect()
    idle: dict[int, object] = {}
    monkeypatch.setattr(stock, "_idle", idle)
    return idle


def taken(numbers: int = NUMBERS) -> torch.Tensor:
    return stock.from_stock(numbers, dtype=torch.float32)


def test_a_block_comes_back_when_its_last_view_goes(empty: dict[int, object]) -> None:
    block = taken()
    place, view = block.data_ptr(), block[100:].view(-1, 4)
    del block
    assert not empty and taken().data_ptr() != place
    empty.clear()
    del view
    assert len(empty) == 1 and taken().data_ptr() == place


def test_sizes_that_are_near_share_a_block_and_others_do_not() -> None:
    place = taken(NUMBERS + 1).data_ptr()
    again = taken(NUMBERS + 100)
    assert again.data_ptr() == place and again.shape == (NUMBERS + 100,)
    del again
    assert taken(4 * NUMBERS).data_ptr() != place


def test_small_memory_is_not_kept(empty: dict[int, object]) -> None:
    taken(stock.SMALLEST // 4 - 1)
    assert not empty
    taken(stock.SMALLEST // 4)
    assert [block.nbytes for block in empty.values()] == [stock.SMALLEST]


@pytest.mark.parametrize("autocast", (False, True))
@pytest.mark.parametrize("grad", (False, True))
def test_outputs_come_back_when_they_are_dropped_and_not_before(grad: bool, autocast: bool) -> None:
    torch.manual_seed(0)
    layer, inputs = hg.LSTM(32, 256), [torch.randn(64, 32, 32) for _ in range(3)]
    with torch.set_grad_enabled(grad), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found = [layer(x)[0] for x in inputs]
        expected, places = [value.detach().clone() for value in found], {value.data_ptr() for value in found}
        assert len(places) == 3
        place, part = found[0].data_ptr(), found[0].detach()[3:5]
        del found[0]
        later = layer(inputs[0])[0]
        assert later.data_ptr() not in places, "memory was given away though a view of it was left"
        assert torch.equal(part, expected[0][3:5]) and torch.equal(later, expected[0])
        free = {place, later.data_ptr()}
        del part, later
        assert layer(inputs[0])[0].data_ptr() in free
    for value, same in zip(found, expected[1:], strict=True):
        assert torch.equal(value, same)


def test_gradients_that_a_parameter_keeps_are_not_given_away() -> None:
    torch.manual_seed(0)
    layer, x = hg.LSTM(512, 512), torch.randn(4, 2, 512)
    layer(x)[0].sum().backward()
    kept = layer.weight_hh_l0.grad
    before = kept.clone()
    torch.autograd.grad(layer(2 * x)[0].sum(), list(layer.parameters()))
    assert torch.equal(kept, before)


def test_an_output_passes_for_any_tensor() -> None:
    torch.manual_seed(0)
    layer, x = hg.LSTM(32, 256), torch.randn(64, 32, 32)
    with torch.no_grad():
        output, again = layer(x)[0], layer(x)[0]
    file = io.BytesIO()
    torch.save(output, file)
    file.seek(0)
    for copied in (torch.load(file), copy.deepcopy(output), output.share_memory_()):
        assert torch.equal(copied, again)
    with torch.no_grad():
        assert torch.equal(layer(x)[0], output), "what is shared with other processes was given away"
    with pytest.raises(RuntimeError, match="not resizable"):
        again.resize_(10**7)


def test_no_more_waits_than_is_allowed(empty: dict[int, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock, "IDLE", 2 * LARGE)
    blocks = [taken() for _ in range(4)]
    places = [block.data_ptr() for block in blocks]
    while blocks:
        del blocks[0]
    # Those that came back last stay.
    assert len(empty) == 2 and {taken().data_ptr()} <= set(places[2:])


def test_two_threads_never_have_the_same_block() -> None:
    wrong, start = [], threading.Barrier(4)

    def take_and_give_back(number: int) -> None:
        start.wait()
        for _ in range(200):
            block = taken()
            block[::1000] = number
            if not (block[::1000] == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=take_and_give_back, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def training_call(layer: hg.Recurrent, x: torch.Tensor, **options: object) -> list[torch.Tensor]:
    output, _ = layer(x, **options)
    return [output, *torch.autograd.grad(output.square().mean(), [x, *layer.parameters()])]


@pytest.mark.parametrize("with_lengths", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_what_an_earlier_call_left_is_not_read(cell: str, with_lengths: bool, empty: dict[int, object]) -> None:
    torch.manual_seed(0)
    layer = hg.Recurrent(cell, 33, 65)
    x = torch.randn(250, 33, 33, requires_grad=True)
    options = {"lengths": [250 - 3 * k for k in range(33)]} if with_lengths else {}
    expected = training_call(layer, x, **options)
    assert empty
    for block in empty.values():
        block.view("float32")[:] = float("nan")
    places = set(empty)
    found = training_call(layer, x, **options)
    assert places == set(empty), "the call did not use the blocks, so it shows nothing"
    for value, same in zip(found, expected, strict=True):
        assert torch.equal(value, same)


def test_runs_that_are_alive_at_once_keep_their_own() -> None:
    torch.manual_seed(0)
    layer = hg.LSTM(32, 64)
    inputs = [torch.randn(256, 32, 32) for _ in range(3)]
    alone = [torch.autograd.grad(layer(x)[0].square().mean(), list(layer.parameters())) for x in inputs]
    losses = [layer(x)[0].square().mean() for x in inputs]
    for loss, expected in reversed(list(zip(losses, alone, strict=True))):
        for value, same in zip(torch.autograd.grad(loss, list(layer.parameters())), expected, strict=True):
            assert torch.equal(value, same)


@pytest.mark.parametrize("grad", (False, True))
@pytest.mark.parametrize("autocast", (False, True))
@pytest.mark.parametrize("garbage", (math.nan, math.inf))
def test_what_a_call_left_in_its_threads_memory_reaches_no_other(garbage: float, autocast: bool, grad: bool) -> None:
    """Sizes that fill no tile, since garbage beside a row's end would be multiplied with zeros."""
    torch.manual_seed(0)
    layer, x = hg.LSTM(37, 1000), torch.randn(40, 64, 37)

    def called(given: torch.Tensor) -> list[torch.Tensor]:
        given = given.clone().requires_grad_(grad)
        with torch.set_grad_enabled(grad), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            output = layer(given)[0]
        found = torch.autograd.grad(output.float().sum(), [given, *layer.parameters()]) if grad else []
        return [output.detach(), *found]

    expected = called(x)
    called(torch.full_like(x, garbage))
    for found, value in zip(called(x), expected, strict=True):
        assert value.isfinite().all() and torch.equal(found, value)


FAULTS = """
import resource, torch
import headgate as hg
layer, x = hg.LSTM(1024, 1024), torch.randn(16, 64, 1024)
def calls():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    with torch.no_grad():
        for _ in range(5):
            layer(x)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
calls()
print(calls() / 5)
"""


def test_a_call_leaves_its_own_memory_to_the_next() -> None:
    """In a process of its own, whose allocator knows nothing: there, with products made of pieces, it was 6,000."""
    pytest.importorskip("resource")
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 200
