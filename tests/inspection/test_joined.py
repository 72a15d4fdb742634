"""Calls that go on from each other, as a decoder's step by step: told as the one sequence that they are."""

import pytest
import torch
from comparing import assert_all_close
from inspection.torch_models import assert_as_witnessed, model_of, witness_of
from inspection.watching import EXACT, B, H, I, T, assert_as_unrolled, layer_of, numbers_of
from nn.layer_runs import as_hx, as_states, normal, states_for
from torch import nn

import headgate as hg

PIECES = (1, 1, 2, 1)
HOME = "encoder.lstm"


def in_pieces(model, input, states=None, between=lambda state: state, axis=0):
    """A model called piece by piece, each from the states that the last one left; the outputs together, the states."""
    hx, outputs = None if states is None else as_hx(states), []
    for piece in input.split(list(PIECES), axis):
        output, hx = model(piece, hx)
        outputs.append(output)
        hx = as_hx(tuple(between(state) for state in as_states(hx)))
    return torch.cat(outputs, axis), as_states(hx)


# --- as one call ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", ["LSTM", "LSTM-proj", "GRU", "RNN", "RNN-relu"])
def test_pieces_are_told_of_as_one_sequence(kind, layers):
    model, input = model_of(kind, num_layers=layers), normal(T, B, I)
    with hg.watch(model) as seen:
        model.loss(*in_pieces(model, input)).backward()
    assert_as_witnessed(seen, witness_of(kind, model, input))


@pytest.mark.parametrize(
    ("name", "switches"),
    [("lstm", {}), ("gru", {}), ("reset_before_gru", {}), ("lstm", {"peephole": True}), ("lstm", {"zoneout": 0.1})],
    ids=str,
)
def test_so_are_those_of_our_layers(name, switches):
    cell = hg.cells.get(name, **switches)
    layer, input = layer_of(cell, num_layers=2, bidirectional=False).eval(), normal(T, B, I)
    states = states_for(layer, B)
    with hg.watch(layer) as whole:
        output, final = layer(input, as_hx(states))
        _read(output, as_states(final)).backward()
    with hg.watch(layer) as seen:
        _read(*in_pieces(layer, input, states)).backward()
    for part in ("l0", "l1"):
        assert_all_close(numbers_of(seen[part]), numbers_of(whole[part]), EXACT)


def _read(output, final):
    return torch.sin(output).sum() + sum(torch.cos(state).sum() for state in final)


@pytest.mark.parametrize("shape", ["batch first", "unbatched"])
def test_in_every_form(shape):
    first = shape == "batch first"
    layer = nn.GRU(I, H, 2, batch_first=first, dtype=torch.float64)
    input = normal(B, T, I) if first else normal(T, I)
    with hg.watch(layer) as whole:
        output, final = layer(input)
        _read(output, (final,)).backward()
    with hg.watch(layer) as seen:
        _read(*in_pieces(layer, input, axis=1 if first else 0)).backward()
    for part in ("l0", "l1"):
        assert_all_close(numbers_of(seen[part]), numbers_of(whole[part]), EXACT)


class Decoder(nn.Module):
    """Each step reads what the step before wrote (input feeding), and answers from its state, not its output."""

    def __init__(self, layers=1, steps=6):
        super().__init__()
        self.lstm, self.out, self.steps = nn.LSTM(H, H, layers, dtype=torch.float64), nn.Linear(H, 1).double(), steps
        self.kept = []

    def forward(self, first):
        word, state, answers = first, None, []
        for _ in range(self.steps):
            _, state = self.lstm(word, state)
            if state[0].requires_grad:
                state[0].retain_grad()
            self.kept.append(state[0])
            word = torch.tanh(state[0][-1:])
            answers.append(self.out(word))
        return torch.cat(answers)[..., 0].transpose(0, 1)


def test_a_decoder_that_feeds_itself():
    """Total gradients of its states are autograd's own."""
    model = Decoder()
    with hg.watch(model) as seen:
        model(normal(1, B, H)).square().sum().backward()
    trace = seen["lstm"]
    assert trace.grad["h"].shape == (6, B, H)
    expected = {str(t): state.grad[-1] for t, state in enumerate(model.kept)}
    assert_all_close({str(t): value for t, value in enumerate(trace.grad["h"])}, expected, EXACT)


def test_what_examine_says_of_it():
    torch.manual_seed(0)
    found = hg.examine(Decoder(), [normal(1, 12, H)], lambda model, x: model(x).square().mean(1))
    facts = found.records["lstm.l0"].facts
    assert (facts["steps"], facts["rows"]) == (6, 12)
    assert found.records["lstm.l0"].arrays["lag_profile"].shape[-1] == 6


def test_gates_without_gradients():
    model, input = model_of("LSTM"), normal(T, B, I)
    with torch.no_grad(), hg.watch(model) as whole:
        model(input)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode(), hg.watch(model) as seen:
            in_pieces(model, input)
        assert_all_close(seen[HOME].gates, whole[HOME].gates, EXACT)


def test_the_run_is_what_it_is_without_the_watch():
    model, input = model_of("LSTM", num_layers=2), normal(T, B, I)

    def results():
        model.zero_grad()
        output, final = in_pieces(model, input)
        model.loss(output, final).backward()
        return [output, *final, *(p.grad.clone() for p in model.parameters())]

    alone = results()
    with hg.watch(model):
        beside = results()
    assert all(torch.equal(a, b) for a, b in zip(alone, beside, strict=True))


def test_more_steps_than_python_can_go_deep():
    """No copy of the weights for each, and no limit of depth."""
    layer = nn.LSTM(I, H)
    with hg.watch(layer) as seen:
        state, outputs = None, []
        for piece in normal(1200, 1, I, dtype=torch.float32).split(1):
            output, state = layer(piece, state)
            outputs.append(output)
        torch.cat(outputs).sum().backward()
        parts = seen._captures[""].parts()
        assert len({id(part.weights) for part in parts}) == 1
    assert seen["l0"].grad["c"].shape == (1200, 1, H)
    assert not any(part.live or part.handles or part.final for part in parts)


# --- what is no part of a sequence ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "between",
    [
        pytest.param(lambda state: state.detach(), id="a gradient cut off"),
        pytest.param(lambda state: state * 0.5, id="other states"),
        pytest.param(lambda state: state.clone().zero_(), id="no memory"),
    ],
)
def test_what_does_not_go_on_is_told_of_by_its_last_call(between):
    model, input = model_of("LSTM"), normal(T, B, I)
    with hg.watch(model) as seen:
        model.loss(*in_pieces(model, input, between=between)).backward()
    assert seen[HOME].gates["f"].shape == (PIECES[-1], B, H)


def test_states_that_were_changed_in_place():
    model = model_of("GRU")
    with torch.no_grad(), hg.watch(model) as seen:
        _, state = model(normal(2, B, I))
        model(normal(1, B, I, seed=1), state.mul_(0.5))
    assert seen[HOME].gates["z"].shape == (1, B, H)


def test_weights_that_were_changed():
    model = model_of("GRU")
    with hg.watch(model) as seen:
        _, state = model(normal(2, B, I))
        with torch.no_grad():
            model.encoder["lstm"].weight_hh_l0.mul_(0.9)
            model(normal(1, B, I, seed=1), state)
    assert seen[HOME].gates["z"].shape == (1, B, H)


@pytest.mark.parametrize("options", [{"bidirectional": True}, {"num_layers": 2, "dropout": 0.5}], ids=str)
def test_calls_that_could_not_have_been_one(options):
    """A backward direction knows only its own piece; masks are drawn for each call."""
    model = model_of("LSTM", **options)
    with hg.watch(model) as seen:
        output, state = model(normal(2, B, I))
        more, _ = model(normal(1, B, I, seed=1), state)
        (output.sum() + more.sum()).backward()
    assert seen[HOME].gates["f"].shape == (1, B, H)


@pytest.mark.parametrize("read", ["cell state", "lower layer"])
def test_a_state_that_is_read_in_between(read):
    model = model_of("LSTM", num_layers=2)
    with hg.watch(model) as seen:
        output, (h, c) = model(normal(2, B, I))
        more, _ = model(normal(1, B, I, seed=1), (h, c))
        (output.sum() + more.sum() + (c if read == "cell state" else h[0]).sin().sum()).backward()
    with pytest.raises(RuntimeError, match=r"a state that is not its output .* was read between two calls"):
        _ = seen[HOME].grad


def test_pieces_are_as_the_unrolled_run_only_with_what_they_send_back():
    """The mutant: without taking off what the next call sends back, the recurrent gradient would count twice."""
    model, input = model_of("LSTM"), normal(T, B, I)
    with hg.watch(model) as seen:
        model.loss(*in_pieces(model, input)).backward()
    for part in seen._captures[HOME].parts():
        for key in [key for key in part.gradients if key.startswith("given_")]:
            part.gradients[key] = torch.zeros_like(part.gradients[key])
    seen._whole.clear()
    with pytest.raises(RuntimeError, match="was read between two calls"):
        assert_as_unrolled(seen, witness_of("LSTM", model, input), prefix=f"{HOME}.")


def test_a_call_within_a_transform_after_one_that_was_not():
    """It runs as ever; only nothing can be told of it."""
    model = nn.GRU(I, H, dtype=torch.float64)
    input = normal(2, B, I)
    with hg.watch(model) as seen:
        _, state = model(input)
        found = torch.func.grad(lambda x: model(x, state)[0].sum())(input)
    assert found.shape == input.shape
    with pytest.raises(RuntimeError, match="function transform"):
        _ = seen["l0"].gates
