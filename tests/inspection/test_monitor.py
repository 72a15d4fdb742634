"""The monitor looks every so many steps, costs nothing between, and touches nothing."""

import copy
import itertools
import subprocess
import sys
import time

import pytest
import torch
from inspection.monitored import H, I, batch, loss_at, monitor_of, net, one_look, train
from inspection.test_leaves_no_trace import hooks_of
from torch import nn

import headgate as hg
from headgate.inspection.monitor import Monitor

# --- when it looks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("numbered", [True, False], ids=["numbered", "counted"])
def test_it_looks_every_so_many_steps(numbered):
    model = net()
    monitor = monitor_of(model, every=3)
    looks = train(model, monitor, range(8) if numbered else [None] * 8, lambda m, _: loss_at(m, 0))
    assert [look.step for look in looks] == [0, 3, 6]
    assert monitor.film.arrays("rnn.l0")["film_steps"].tolist() == [0, 3, 6]
    assert [entry["step"] for entry in monitor.history] == [0, 3, 6]


def test_numbers_that_start_again_are_a_new_epoch():
    model = net()
    monitor = monitor_of(model, every=2)
    looks = train(model, monitor, [*range(3), *range(3), *range(3)])
    assert [look.step for look in looks] == [0, 2, 4, 6, 8]


def test_the_same_number_again_is_the_same_step():
    """As when gradients are accumulated over several batches."""
    model = net()
    looks = train(model, monitor_of(model), [0, 0, 0, 1, 1, 2, 2])
    assert [look.step for look in looks] == [0, 2]


def test_steps_that_are_left_out_put_a_look_off_to_the_next_step():
    model = net()
    assert [look.step for look in train(model, monitor_of(model, every=10), [0, 7, 13, 19, 21])] == [0, 13, 21]


def test_looking_takes_no_more_than_its_share_of_the_time(monkeypatch):
    """Steps of one second, and looks that take half of one."""
    clock = [0.0]
    monkeypatch.setattr("headgate.inspection.monitor.time.perf_counter", lambda: clock[0])
    model = net()
    monitor = Monitor(model, every=10, budget=0.01)

    def slow(look, seen):
        clock[0] += 0.5

    monkeypatch.setattr(monitor, "_see", slow)
    looked = []
    for step in range(300):
        with monitor.step(step) as look:
            loss_at(model, step).backward()
        looked += [step] if look else []
        clock[0] += 1.0
    assert looked == [0, 50, 100, 150, 200, 250]


# --- what it costs and touches ----------------------------------------------------------------------------------


def test_no_hook_is_on_between_looks():
    model = net()
    monitor = monitor_of(model, every=2)
    for step in range(4):
        with monitor.step(step) as look:
            assert bool(hooks_of(model)) == bool(look) == (step % 2 == 0)
            loss_at(model, step).backward()
        assert hooks_of(model) == []


def test_between_looks_a_step_costs_a_function_call():
    """A hundred thousand of them take less than one training step of a large model; measured at 0.05 s."""
    monitor = monitor_of(net(), every=10**9)
    with monitor.step(0):
        pass
    started = time.perf_counter()
    for step in range(1, 100_000):
        with monitor.step(step) as look:
            look.report(loss=1.0)
    assert time.perf_counter() - started < 1.0


def test_an_exception_leaves_no_hook_and_no_look():
    model = net()
    monitor = monitor_of(model)
    with pytest.raises(ZeroDivisionError), monitor.step(0):
        loss_at(model, 0)
        _ = 1 / 0
    assert hooks_of(model) == [] and len(monitor.film) == 0 and monitor.history == []


@pytest.mark.parametrize(
    "layer",
    [lambda: nn.LSTM(I, H, 2, dropout=0.3), lambda: hg.GRU(I, H, zoneout=0.2), lambda: nn.RNN(I, H)],
    ids=["LSTM-dropout", "our-GRU-zoneout", "RNN"],
)
def test_training_is_the_same_to_the_bit(layer):
    torch.manual_seed(0)
    plain = net(layer())
    watched = copy.deepcopy(plain)
    found = []
    for model, monitor in ((plain, monitor_of(net(layer()), every=1000)), (watched, monitor_of(watched, every=1))):
        torch.manual_seed(3)
        looks = train(model, monitor, range(1, 5))
        found.append({**model.state_dict(), "random": torch.get_rng_state()})
    assert len(looks) == 4 and all(look.glances for look in looks)
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


# --- a pass of its own ------------------------------------------------------------------------------------------


def everything(model):
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    return [*model.state_dict().values(), *gradients.values(), torch.get_rng_state()]


def test_a_look_of_its_own_touches_nothing():
    model = net(nn.LSTM(I, H, 2, dropout=0.4))
    loss_at(model, 0).backward()
    before = [value.clone() for value in everything(model)]
    monitor = monitor_of(model)
    look = monitor.look(0, lambda m: loss_at(m, 7))
    assert look and look.loss is not None and set(look.glances) == {"rnn.l0", "rnn.l1"}
    assert all(map(torch.equal, before, everything(model))) and hooks_of(model) == []
    assert not monitor.look(1, lambda m: pytest.fail("this step is not looked at"))


def test_a_look_of_its_own_sees_what_a_look_at_the_batch_sees():
    model = net()
    within = one_look(model, lambda m: loss_at(m, 7))
    own = monitor_of(model).look(0, lambda m: loss_at(m, 7))
    assert own.scalars == within.scalars


def test_a_look_of_its_own_at_frozen_weights():
    model = net().requires_grad_(False)
    assert monitor_of(model).look(0, lambda m: loss_at(m, 7)).glances


def by_method(model):
    model.compile(backend="eager")
    return model


def by_a_part(model):
    model.rnn = torch.compile(model.rnn, backend="eager")
    return model


def by_forward(model):
    """As Lightning does it."""
    model.forward = torch.compile(model, backend="eager").dynamo_ctx(model.forward)
    return model


WAYS = {"function": lambda model: torch.compile(model, backend="eager"), "method": by_method, "forward": by_forward}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_compiled_model_gets_no_hooks_and_is_seen_by_a_look_of_its_own(way):
    model = net()
    compiled = way(model)
    monitor = monitor_of(compiled, every=1)
    with monitor.step(0) as look:
        assert hooks_of(model) == []
        compiled(batch(0)).sum().backward()
    assert list(look.missing) == ["rnn"] and "it is compiled" in look.missing["rnn"]
    if way is not by_forward:
        assert monitor.look(1, lambda m: m.norm(m.rnn(batch(0))[0][-1]).sum()).glances.keys() == {"rnn.l0"}


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # torch.compile's own
def test_layers_beside_a_compiled_part_are_seen():
    model = net()
    model.head = torch.compile(model.head, backend="eager")
    assert one_look(model, lambda m: loss_at(m, 0)).glances.keys() == {"rnn.l0"}
    part = by_a_part(net())
    assert list(one_look(part, lambda m: loss_at(m, 0)).missing) == ["rnn._orig_mod"]


# --- arguments --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": 0}, "Monitor: every=0, but a whole number of at least 1 is needed."),
        ({"rows": 1.5}, "Monitor: rows=1.5, but a whole number"),
        ({"budget": 0.0}, "Monitor: budget=0.0, but a share of the time in 0..1"),
    ],
)
def test_arguments_that_cannot_be_meant(settings, message):
    with pytest.raises(ValueError, match=message):
        Monitor(net(), **settings)


def test_a_model_without_recurrent_layers_is_refused_at_once():
    with pytest.raises(ValueError, match="holds no recurrent layer"):
        Monitor(nn.Linear(2, 2))


def test_it_needs_neither_lightning_nor_tensorboard():
    code = "import sys, headgate.inspection.monitor; print({'lightning', 'tensorboard'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_looks_are_false_between():
    monitor = monitor_of(net(), every=2)
    looks = list(itertools.starmap(monitor.step, [(step,) for step in range(4)]))
    assert [bool(look.__enter__()) for look in looks] == [True, False, True, False]
    for look in looks:
        look.__exit__(KeyError, None, None)
