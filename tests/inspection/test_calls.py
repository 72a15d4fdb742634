"""Which module, which call and which backward pass a trace tells of; and what is said when there is none."""

import copy

import pytest
import torch
from comparing import assert_all_close
from inspection.torch_models import BOTH, assert_as_witnessed, cell_of, model_of, run, seen_of, witness_of
from inspection.watching import EXACT, B, H, I, T, cotangents_of, loss_of, numbers_of, unrolled, watched
from inspection.witness import unroll
from nn.layer_runs import normal
from torch import nn

import headgate as hg
from headgate.cells import Cell, Gates, Matrix, State, tanh


def forward_of(model, *inputs):
    with hg.watch(model) as seen:
        for input in inputs:
            model(input)
    return seen


# --- names ------------------------------------------------------------------------------------------------------


def test_names_go_from_the_module_to_its_layers_and_directions():
    seen = forward_of(model_of("GRU", **BOTH), normal(T, B, I))
    expected = [f"encoder.lstm.{part}" for part in ("l0", "l0_reverse", "l1", "l1_reverse")]
    assert (seen.names(), list(seen), len(seen)) == (expected, expected, 4)
    assert [seen[name].name for name in seen] == expected
    assert [seen[name].reverse for name in seen] == [False, True] * 2
    assert seen["encoder.lstm"] is seen["encoder.lstm.l1"], "a module's own name is its last layer, forward"


def test_a_model_that_is_the_layer():
    seen = forward_of(nn.GRU(I, H, 2), normal(T, B, I, dtype=torch.float32))
    assert list(seen) == ["l0", "l1"]
    assert seen["l1"].name == seen[""].name == "l1"


def test_what_a_trace_says_of_itself():
    lstm = forward_of(nn.LSTM(I, H), normal(T, B, I, dtype=torch.float32))["l0"]
    rnn = forward_of(nn.RNN(I, H), normal(T, B, I, dtype=torch.float32))["l0"]
    assert repr(lstm) == f"Trace('l0', LSTM, T={T}, B={B}, gates i, f, g, o)"
    assert repr(rnn) == f"Trace('l0', RNN, T={T}, B={B}, gates none)"


@pytest.mark.parametrize("name", ["lstm", "", "l0", "encoder.lstm.l2", "encoder.lstm.l0_reverse", "encoder.lstm.l-1"])
def test_a_name_that_is_not_there(name):
    seen = forward_of(model_of("LSTM", num_layers=2), normal(T, B, I))
    with pytest.raises(KeyError) as error:
        seen[name]
    assert error.value.args == (f"watch: nothing named {name!r} here; there is 'encoder.lstm.l0', 'encoder.lstm.l1'.",)


def test_a_model_without_recurrent_layers():
    with pytest.raises(ValueError, match=r"^watch: Linear holds no recurrent layer; it sees headgate's layers and tor"):
        hg.watch(nn.Linear(2, 2))


def test_what_is_no_model():
    with pytest.raises(TypeError) as error:
        hg.watch("lstm")
    assert str(error.value) == "watch: got a str, but a torch.nn.Module is needed."


# --- calls ------------------------------------------------------------------------------------------------------


def test_of_several_calls_the_last_is_remembered():
    """Also where the loss read them all, and where the calls have different sizes."""
    model, first, last = model_of("LSTM", **BOTH), normal(T + 2, B - 1, I), normal(T, B, I, seed=1)
    with hg.watch(model) as seen:
        (model.loss(*run(model, first)) + model.loss(*run(model, last))).backward()
    assert_as_witnessed(seen, witness_of("LSTM", model, last))


def test_a_new_call_is_told_of_though_the_old_one_was_asked_for():
    model, first, last = model_of("GRU", **BOTH), normal(T, B, I), normal(T, B, I, seed=1)
    with hg.watch(model) as seen:
        model.loss(*run(model, first)).backward()
        old = seen["encoder.lstm"]
        kept = old.gates["z"].clone()
        model(last)
    new = seen["encoder.lstm"]
    assert torch.equal(old.gates["z"], kept)
    assert not torch.equal(new.gates["z"], kept)


def test_a_call_after_the_last_backward_pass_has_no_gradients():
    model = model_of("LSTM")
    with hg.watch(model) as seen:
        model.loss(*run(model, normal(T, B, I))).backward()
        model(normal(T, B, I))
    with pytest.raises(RuntimeError, match="no backward pass reached it within the watch"):
        _ = seen["encoder.lstm"].grad


def test_two_modules_each_see_their_own_part():
    """The gradient of the first comes through the second."""
    model = nn.ModuleDict({"low": nn.GRU(I, H, dtype=torch.float64), "high": nn.LSTM(H, H, dtype=torch.float64)})
    input = normal(T, B, I)
    with hg.watch(model) as seen:
        result = model["high"](model["low"](input)[0])
        cotangents = cotangents_of(result, "all")
        loss_of(result, cotangents).backward()
    low = unroll(hg.cells.get("gru"), model["low"], input)
    high = unroll(hg.cells.get("lstm"), model["high"], low.output)
    loss_of((high.output, high.final), cotangents).backward()
    for name, whole in (("low.l0", low), ("high.l0", high)):
        assert_all_close(numbers_of(seen[name]), whole.parts["l0"].numbers(), EXACT)


def test_a_module_that_was_not_called():
    model = nn.ModuleDict({"used": nn.GRU(I, H), "idle": nn.GRU(I, H)})
    with hg.watch(model) as seen:
        model["used"](normal(T, B, I, dtype=torch.float32))
    with pytest.raises(KeyError) as error:
        seen["idle.l0"]
    assert error.value.args[0].startswith("watch: idle was not called within the watch, or ran as compiled code")
    assert list(seen) == ["used.l0"]


def test_a_call_outside_the_watch_is_not_seen():
    model = model_of("LSTM")
    with hg.watch(model) as seen:
        pass
    model(normal(T, B, I))
    with pytest.raises(KeyError, match=r"encoder\.lstm was not called within the watch"):
        seen["encoder.lstm"]


def test_a_watch_cannot_be_entered_twice_but_again():
    model = model_of("LSTM")
    watch = hg.watch(model)
    with watch, pytest.raises(RuntimeError, match=r"^watch: this watch is already on; make another one"):
        watch.__enter__()
    with watch as seen:
        model.loss(*run(model, normal(T, B, I))).backward()
    assert seen["encoder.lstm"].grad["c"].any()


# --- backward passes --------------------------------------------------------------------------------------------


def test_several_backward_passes_add_up():
    """As they do in `.grad`; what was asked for between them is asked anew."""
    model, input = model_of("GRU", **BOTH), normal(T, B, I)
    variables = list(model.parameters())
    with hg.watch(model) as seen:
        loss = model.loss(*run(model, input))
        torch.autograd.grad(loss, variables, retain_graph=True, allow_unused=True)
        once = seen["encoder.lstm"].grad["h"]
        torch.autograd.grad(2.0 * loss, variables, allow_unused=True)
    assert_all_close({"h": seen["encoder.lstm"].grad["h"]}, {"h": 3.0 * once}, EXACT)
    assert not seen["encoder.lstm"].grad["h"].requires_grad
    assert seen["encoder.lstm"].lag_profile().shape == (3, T)


def test_a_gradient_of_a_gradient_is_refused():
    """A penalty on gradients reaches the output a second time, less what it brings inside the layer: no true total."""
    model, input = model_of("GRU"), normal(T, B, I).requires_grad_()
    with hg.watch(model) as seen:
        loss = model.loss(*run(model, input))
        (gradient,) = torch.autograd.grad(loss, input, create_graph=True)
        assert seen["encoder.lstm"].grad["h"].any()
        (loss + gradient.square().sum()).backward()
    with pytest.raises(RuntimeError, match="a second backward pass came after one with create_graph=True"):
        seen["encoder.lstm"]


def test_a_result_changed_in_place_is_followed():
    """A batch_first output is a view; changed in place, its gradient comes by another way than the view's own."""
    for change in (lambda o: o.add_(1.0), lambda o: o.mul_(2.0), lambda o: o.masked_fill_(o > 0, 0.0)):
        layer, x = nn.LSTM(I, H, batch_first=True).double(), normal(B, T, I)
        states = [torch.zeros(1, B, H, dtype=torch.float64, requires_grad=True) for _ in "hc"]

        def loss(layer=layer, x=x, states=states, change=change):
            output, (h, _) = layer(x, tuple(states))
            return change(output).square().sum() + h.sum()

        expected = dict(zip("hc", torch.autograd.grad(loss(), states), strict=True))
        with hg.watch(layer) as seen:
            loss().backward()
        actual = {name: value[None] for name, value in seen["l0"].grad_initial.items()}
        assert_all_close(actual, expected, EXACT)


def test_no_backward_pass():
    trace = forward_of(model_of("LSTM"), normal(T, B, I))["encoder.lstm"]
    expected = (
        "encoder.lstm: there are no gradients to show, since no backward pass reached it within the watch; call "
        "loss.backward() inside the with-block, on a loss that uses this layer's last call."
    )
    for ask in (lambda: trace.grad, lambda: trace.paths, trace.lag_profile, trace.horizon, trace.highway_share):
        with pytest.raises(RuntimeError) as error:
            ask()
        assert str(error.value) == expected


def test_a_backward_pass_after_the_watch_is_not_seen():
    model = model_of("LSTM")
    with hg.watch(model) as seen:
        loss = model.loss(*run(model, normal(T, B, I)))
    loss.backward()
    with pytest.raises(RuntimeError, match=r"call loss\.backward\(\) inside the with-block"):
        _ = seen["encoder.lstm"].grad


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_run_without_gradients(mode):
    """Gates and states are there; of gradients it is said why they are not."""
    model, input = model_of("LSTM", **BOTH), normal(T, B, I)
    with hg.watch(model) as seen, mode():
        model(input)
    for name, part in witness_of("LSTM", model, input).parts.items():
        trace, numbers = seen[f"encoder.lstm.{name}"], part.numbers()
        found = {f"gate {n}": v for n, v in trace.gates.items()} | {f"state {n}": v for n, v in trace.states.items()}
        assert_all_close(found, {n: v for n, v in numbers.items() if not n.startswith("grad")}, EXACT)
        with pytest.raises(RuntimeError, match=r"it ran without gradients \(no_grad or inference_mode\); run it with"):
            _ = trace.grad


def test_a_loss_that_does_not_depend_on_a_direction():
    """Its gradients are zero, which is no error; a profile of them would be nothing."""
    model = model_of("LSTM", bidirectional=True)
    with hg.watch(model) as seen:
        model(normal(T, B, I))[0][..., :H].sum().backward()
    trace = seen["encoder.lstm.l0_reverse"]
    assert not trace.grad["c"].any()
    with pytest.raises(
        RuntimeError, match=r"^encoder.lstm.l0_reverse: the loss depends on nothing that this layer and"
    ):
        trace.lag_profile()


# --- the run as it was ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_what_changes_after_the_call_changes_nothing(kind):
    """Weights in place, as an optimiser steps, and the input: within the watch and after it."""
    model, input = model_of(kind, **BOTH), normal(T, B, I)
    before, kept = copy.deepcopy(model), input.clone()

    @torch.no_grad()
    def step():
        for parameter in model.parameters():
            parameter -= parameter.grad

    with hg.watch(model) as seen:
        model.loss(*run(model, input)).backward()
        step()
        input.zero_()
    step()
    assert_as_witnessed(seen, witness_of(kind, before, kept))


def test_states_changed_in_place():
    layer, input = hg.LSTM(I, H, dtype=torch.float64), normal(T, B, I)
    states = tuple(normal(1, B, H, seed=k) for k in range(2))
    kept = tuple(state.clone() for state in states)
    with hg.watch(layer) as seen:
        result = layer(input, states)
        cotangents = cotangents_of(result, "all")
        loss_of(result, cotangents).backward()
        for state in states:
            state.zero_()
    whole = unrolled(layer.cell, layer, input, kept, cotangents)
    assert_all_close(numbers_of(seen["l0"]), whole.parts["l0"].numbers(), EXACT)


def test_the_mode_may_change_after_the_call():
    model, input = model_of("LSTM", dropout=0.5, **BOTH).eval(), normal(T, B, I)
    seen = seen_of(model, input)
    model.train()
    assert_as_witnessed(seen, witness_of("LSTM", model, input))
    assert model.training


# --- runs that cannot be told -----------------------------------------------------------------------------------


class Scaled(nn.LSTM):
    """A forward of its own, with the results of another layer."""

    def forward(self, input, hx=None):
        output, final = super().forward(input, hx)
        return 1.01 * output, final


class OnlyOutput(nn.LSTM):
    def forward(self, input):
        return super().forward(input)[0]


class Masked(nn.LSTM):
    def forward(self, input, hx=None, mask=None):
        return super().forward(input, hx)


@pytest.mark.parametrize(
    ("family", "arguments", "reason"),
    [
        (Scaled, {}, r"^the model: run again from its weights and input it gives another output \(by \d\.\de-\d\d, al"),
        (OnlyOutput, {}, r"^the model: its forward does not return \(output, state\), so it is a forward of its own"),
        (Masked, {"mask": 1}, r"^the model: its forward was called with the argument 'mask', so it is a forward of it"),
    ],
)
def test_a_subclass_with_a_forward_of_its_own_runs_but_is_not_told_of(family, arguments, reason):
    layer, input = family(I, H, dtype=torch.float64), normal(2, B, I)
    plain = layer(input, **arguments)
    with hg.watch(layer) as seen:
        found = layer(input, **arguments)
    assert torch.equal(found if family is OnlyOutput else found[0], plain if family is OnlyOutput else plain[0])
    with pytest.raises(RuntimeError, match=reason):
        seen["l0"]


def test_a_subclass_that_runs_as_its_parent_is_told_of():
    class Named(nn.LSTM):
        pass

    layer, input = Named(I, H, dtype=torch.float64), normal(T, B, I)
    seen, cotangents = watched(layer, input)
    whole = unrolled(cell_of("LSTM"), layer, input, None, cotangents)
    assert_all_close(numbers_of(seen["l0"]), whole.parts["l0"].numbers(), EXACT)


def test_an_output_that_is_not_finite():
    layer = hg.LSTM(I, H)
    with torch.no_grad():
        layer.weight_ih_l0[0, 0] = float("nan")
    seen = forward_of(layer, normal(T, B, I, dtype=torch.float32))
    with pytest.raises(
        RuntimeError, match=r"^the model: its output holds NaN or infinity, so there is nothing to meas"
    ):
        seen["l0"]


@pytest.mark.parametrize(("t", "row"), [(T, 0), (-1, 0), (0, B), (0, -1)])
def test_a_jacobian_of_no_step(t, row):
    trace = forward_of(hg.GRU(I, H), normal(T, B, I, dtype=torch.float32))["l0"]
    with pytest.raises(IndexError) as error:
        trace.jacobian(t, row)
    assert str(error.value) == f"l0: no step {t} of row {row}; steps are 0..{T - 1} and rows 0..{B - 1}."


def test_a_jacobian_of_a_step_in_the_padding():
    layer = hg.GRU(I, H)
    with hg.watch(layer) as seen:
        layer(normal(T, B, I, dtype=torch.float32), lengths=[5, 3, 0, 1])
    with pytest.raises(IndexError, match=r"^l0: row 1 has 3 steps, so it takes no step 3\.$"):
        seen["l0"].jacobian(3, 1)


# --- cells that show unusual gates ------------------------------------------------------------------------------


class Unusual(Cell):
    """A gate held at one, one that is a weight, and one wider than the projected memory."""

    gates = "a"
    vectors = "v"
    produces_projection = True
    recurrent = (Matrix("hh", "a"), Matrix("hr", "r", rows="O", columns="H", bias=False))

    def step(self, x, U, s, p):
        a = tanh(x.a + U.a(s.h)) * p.v
        return State(h=U.r(a)), Gates(one=1.0, a=a, v=p.v)


def test_gates_have_the_size_of_hidden_units():
    layer, input = hg.Recurrent(Unusual(), I, H, proj_size=2, dtype=torch.float64), normal(T, B, I)
    seen, cotangents = watched(layer, input)
    expected = unrolled(layer.cell, layer, input, None, cotangents).parts["l0"]
    trace = seen["l0"]
    assert {name: tuple(gate.shape) for name, gate in trace.gates.items()} == dict.fromkeys(
        ("one", "a", "v"), (T, B, H)
    )
    assert_all_close({"a": trace.gates["a"]}, {"a": expected.gathered(expected.gates, "a")}, EXACT)
    assert_all_close({"h": trace.grad["h"]}, {"h": expected.gathered(expected.made, "h", gradient=True)}, EXACT)


@pytest.mark.parametrize("model", [nn.LSTM(I, H, 2, bidirectional=True), hg.GRU(I, H)], ids=["torch LSTM", "our GRU"])
def test_a_backward_pass_for_looking_alone_shows_the_same_and_leaves_nothing(model):
    model, input, found = model.double(), normal(T, B, I), []
    for look in (lambda seen, loss: loss.backward(), lambda seen, loss: seen.backward(loss)):
        model.zero_grad()
        with hg.watch(model) as seen:
            output, state = model(input)
            final = state[0] if isinstance(state, tuple) else state
            look(seen, output.square().sum() + final.sum())
        found.append({f"{name} {n}": value for name in seen for n, value in seen[name].grad.items()})
    assert_all_close(found[1], found[0], EXACT)
    assert all(parameter.grad is None for parameter in model.parameters())
