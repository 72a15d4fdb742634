"""Modules replaced by their twins: the same numbers in every form of a call, and nothing left behind."""

import copy

import pytest
import torch
from comparing import assert_all_close
from inspection.torch_models import KINDS, LENGTHS
from inspection.watching import B, H, I, T, resets
from nn.layer_runs import as_hx, as_states, normal, states_for, values
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import headgate as hg
from headgate.inspection.override import MEMORY, run, run_overridden
from headgate.inspection.replay import CHECKED, overriding, twin_of

BOTH = {"num_layers": 2, "bidirectional": True}
EXACT = 1e-12
every_kind = pytest.mark.parametrize("kind", KINDS)


def torch_layer(kind, dtype=torch.float64, **options):
    family, _, more = KINDS[kind]
    return family(I, H, **{**BOTH, **more, **options}, dtype=dtype).requires_grad_(False).eval()


def replayed(module, *args, **arguments):
    """What the module gives with its twin in its place, which has also been held against it."""
    with overriding(module, twin_of(module), check=True):
        return module(*args, **arguments)


def assert_as_it_is(module, input, hx=None, tolerance=EXACT, **arguments):
    expected = values(lambda x, h: module(x, h, **arguments), input, hx)
    assert_all_close(values(lambda x, h: replayed(module, x, h, **arguments), input, hx), expected, tolerance)


# --- every form of a call ---------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("batch_first", [False, True])
def test_torch_layers(kind, batch_first):
    layer = torch_layer(kind, batch_first=batch_first)
    input = normal(B, T, I) if batch_first else normal(T, B, I)
    assert_as_it_is(layer, input)
    assert_as_it_is(layer, input, as_hx(states_for(layer, B)))
    single = as_hx(tuple(state[:, 0] for state in states_for(layer, B)))
    assert_as_it_is(layer, normal(T, I), single)


@every_kind
@pytest.mark.parametrize("given", [False, True], ids=["no-hx", "hx"])
@pytest.mark.parametrize("sorted", [False, True], ids=["unsorted", "sorted"])
def test_packed_sequences_stay_packed(kind, given, sorted):
    layer = torch_layer(kind)
    lengths = [5, 4, 3, 1] if sorted else LENGTHS
    packed = pack_padded_sequence(normal(T, B, I), lengths, enforce_sorted=sorted)
    hx = as_hx(states_for(layer, B)) if given else None
    assert_as_it_is(layer, packed, hx)
    found = replayed(layer, packed, hx)[0]
    assert isinstance(found, PackedSequence)
    assert torch.equal(found.batch_sizes, packed.batch_sizes)


@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole_lstm"])
def test_our_layers_with_lengths_and_resets(cell):
    layer = hg.Recurrent(cell, I, H, dtype=torch.float64, batch_first=True, **BOTH).requires_grad_(False)
    hx = as_hx(states_for(layer, B))
    assert_as_it_is(layer, normal(B, T, I), hx, lengths=[3, 5, 0, 2], reset=resets().T)


def test_our_layers_with_options():
    for options in ({"learnable_state": True}, {"zoneout": 0.2}, {"layer_norm": True}, {"proj_size": 2}):
        layer = hg.LSTM(I, H, dtype=torch.float64, **BOTH, **options).requires_grad_(False).eval()
        for name, parameter in layer.named_parameters():
            if name.startswith("initial_"):
                nn.init.normal_(parameter)
        assert_as_it_is(layer, normal(T, B, I))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 4e-2)])
def test_in_the_modules_own_dtype(dtype, tolerance):
    layer, input = torch_layer("LSTM", dtype), normal(T, B, I, dtype=dtype)
    output, final = replayed(layer, input)
    assert {output.dtype, *(state.dtype for state in final)} == {dtype}
    expected = layer(input)[0]
    assert_all_close({"output": output.float()}, {"output": expected.float()}, tolerance)


def test_under_autocast():
    layer, input = hg.LSTM(I, H, **BOTH).requires_grad_(False), normal(T, B, I, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected, actual = layer(input)[0], replayed(layer, input)[0]
    assert expected.dtype is actual.dtype is torch.bfloat16
    assert_all_close({"output": actual.float()}, {"output": expected.float()}, 1e-2)


def test_steps_of_a_stream():
    """`step` has a way of its own, past forward; it is replaced with it."""
    layer, input = hg.LSTM(I, H, dtype=torch.float64).requires_grad_(False), normal(T, B, I)

    def stream():
        state, outputs = None, []
        for x in input:
            output, state = layer.step(x, state)
            outputs.append(output)
        return torch.stack(outputs)

    expected = stream()
    with overriding(layer, twin_of(layer), {0: zero_output_gate}) as replay:
        assert not stream().any()
    assert len(replay.steps) == T
    assert replay.chained
    assert torch.equal(stream(), expected)


def zero_output_gate(call, count):
    return run_overridden(call, "o", torch.zeros(H), None, "eager")


# --- one layer and direction ------------------------------------------------------------------------------------


def lstm_by_hand(x, h, c, weights, forget):
    """A plain LSTM's outputs over one sequence [T, I] with the forget gate given, [T, H]."""
    W, U, b = weights["weight_ih"], weights["weight_hh"], weights["bias_ih"] + weights["bias_hh"]
    outputs = []
    for x_t, f in zip(x, forget, strict=True):
        i, _, g, o = (W @ x_t + U @ h + b).chunk(4)
        c = f * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs)


def gru_by_hand(x, h, weights, keep):
    """A plain GRU's outputs over one sequence [T, I] with the update gate given, [T, H]."""
    W, U, b, d = (weights[name] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    outputs = []
    for x_t, z in zip(x, keep, strict=True):
        (r, _, n), (p, _, q) = (W @ x_t + b).chunk(3), (U @ h + d).chunk(3)
        n = torch.tanh(n + torch.sigmoid(r + p) * q)
        h = (1.0 - z) * n + z * h
        outputs.append(h)
    return torch.stack(outputs)


def plain(kind, x, weights):
    """The same without anything given, by torch, over one sequence."""
    family = KINDS[kind][0]
    layer = family(x.shape[1], H, dtype=x.dtype)
    layer.load_state_dict({f"{name}_l0": value for name, value in weights.items()})
    return layer.requires_grad_(False)(x)[0]


def by_hand(kind, layer, input, lengths, index, given):
    """Two layers in both directions, row by row, with a gate given in one of them, [T, B, H] in time."""
    zero, whole = torch.zeros(H, dtype=input.dtype), torch.zeros(*input.shape[:2], 2 * H, dtype=input.dtype)
    for b, length in enumerate(lengths):
        x = input[:length, b]
        for k in range(2):
            outputs = []
            for d, suffix in enumerate(("", "_reverse")):
                names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                weights = {name: getattr(layer, f"{name}_l{k}{suffix}") for name in names}
                ordered, gate = (v.flip(0) if d else v for v in (x, given[:length, b]))
                if 2 * k + d != index:
                    found = plain(kind, ordered, weights)
                elif kind == "LSTM":
                    found = lstm_by_hand(ordered, zero, zero, weights, gate)
                else:
                    found = gru_by_hand(ordered, zero, weights, gate)
                outputs.append(found.flip(0) if d else found)
            x = torch.cat(outputs, -1)
        whole[:length, b] = x
    return whole


def with_given(layer, kind, input, lengths, index, given):
    gate = {"LSTM": "f", "GRU": "z"}[kind]
    packed = pack_padded_sequence(input, lengths, enforce_sorted=False)
    plays = {index: lambda call, count: run_overridden(call, gate, given, None, "eager")}
    with overriding(layer, twin_of(layer), plays):
        return pad_packed_sequence(layer(packed)[0], total_length=T)[0]


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("index", range(4), ids=["l0", "l0_reverse", "l1", "l1_reverse"])
def test_a_gate_given_in_one_layer_and_direction(kind, index):
    """Against a loop by hand: rows of any length, each alone; the gate's values belong to steps in time."""
    layer, input = torch_layer(kind), normal(T, B, I)
    given = torch.sigmoid(normal(T, B, H, seed=5))
    actual = with_given(layer, kind, input, LENGTHS, index, given)
    expected = by_hand(kind, layer, input, LENGTHS, index, given)
    assert_all_close({"output": actual}, {"output": expected}, EXACT)


def test_a_gate_given_back_to_front_is_noticed():
    """Mutant: a reverse direction's values in the order of its run."""
    layer, input = torch_layer("LSTM"), normal(T, B, I)
    given = torch.sigmoid(normal(T, B, H, seed=5))
    actual = with_given(layer, "LSTM", input, LENGTHS, 1, given.flip(0))
    with pytest.raises(AssertionError, match="output: relative error"):
        assert_all_close({"output": actual}, {"output": by_hand("LSTM", layer, input, LENGTHS, 1, given)}, EXACT)


def test_rows_of_a_packed_batch_are_those_the_user_knows():
    """A mask that holds one row's memory changes that row alone."""
    layer, row = torch_layer("LSTM", num_layers=1, bidirectional=False), 2
    packed = pack_padded_sequence(normal(T, B, I), LENGTHS, enforce_sorted=False)
    mask = torch.zeros(B, H)
    mask[row] = 1.0
    plays = {0: lambda call, count: run_overridden(call, MEMORY, torch.ones(H), mask, "eager")}
    with overriding(layer, twin_of(layer), plays):
        changed = pad_packed_sequence(layer(packed)[0])[0]
    difference = (changed - pad_packed_sequence(layer(packed)[0])[0]).abs().amax((0, 2)) > 1e-9
    assert difference.nonzero().flatten().tolist() == [row]


# --- nothing left behind ----------------------------------------------------------------------------------------


KEPT = ("_packed", "_ready")  # weights laid out and calls prepared, which any call may keep


def parts_of(module):
    return {key: value for key, value in module.__dict__.items() if key not in KEPT}


@pytest.mark.parametrize("make", [lambda: nn.LSTM(I, H), lambda: hg.LSTM(I, H, engine="eager"), lambda: hg.GRU(I, H)])
@pytest.mark.parametrize("fails", [False, True])
def test_the_module_is_as_it_was(make, fails):
    module = make()
    state, parts = copy.deepcopy(module.state_dict()), parts_of(module)
    input = normal(T, B, I, dtype=torch.float32)
    before = module(input)[0]

    def broken(call, count):
        raise ZeroDivisionError

    try:
        with overriding(module, twin_of(module), {0: broken if fails else lambda call, count: run(call)}):
            module(input)
    except ZeroDivisionError:
        assert fails
    assert parts_of(module) == parts
    assert "forward" not in module.__dict__
    assert_all_close(module.state_dict(), state, 0.0)
    assert torch.equal(module(input)[0], before)


def test_a_patched_forward_comes_back():
    module = nn.GRU(I, H)
    own = module.forward
    module.forward = lambda *args: own(*args)
    patched = module.forward
    with overriding(module, twin_of(module), check=True):
        module(normal(T, B, I, dtype=torch.float32))
    assert module.forward is patched


def test_hooks_stay_and_run():
    module, seen = nn.GRU(I, H), []
    module.register_forward_hook(lambda *all: seen.append(len(all)))
    replayed(module, normal(T, B, I, dtype=torch.float32))
    # Once: the module's own run, beside the twin's, is of its forward alone.
    assert seen == [3]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_the_twin_is_held_against_the_first_steps_alone(packed, batch_first):
    """What the module itself takes long for; the numbers are those of all steps."""
    layer, seen = torch_layer("GRU", batch_first=batch_first), []
    input, steps = normal(CHECKED + 9, B, I), [CHECKED + 9, 3, CHECKED, CHECKED + 1]
    given = input.transpose(0, 1) if batch_first else input
    given = pack_padded_sequence(given, steps, batch_first=batch_first, enforce_sorted=False) if packed else given
    expected = values(layer, given)
    right = layer.forward
    layer.forward = lambda *all: seen.append(all[0]) or right(*all)
    assert_all_close(values(lambda x, h: replayed(layer, x), given), expected, EXACT)
    (part,) = seen
    sizes = part.batch_sizes if packed else part.shape[batch_first : batch_first + 1]
    assert (len(sizes) if packed else sizes[0]) == CHECKED


def test_so_it_is_with_lengths_and_resets():
    layer, steps = hg.LSTM(I, H, batch_first=True, dtype=torch.float64).requires_grad_(False), CHECKED + 9
    reset = torch.zeros(B, steps, dtype=torch.bool)
    reset[1, 5] = reset[0, CHECKED + 1] = True
    assert_as_it_is(layer, normal(B, steps, I), lengths=[steps, 0, CHECKED, 7], reset=reset)


# --- modules that are not what their twin is --------------------------------------------------------------------


class Doubled(nn.LSTM):
    def forward(self, input, hx=None):
        output, final = super().forward(input, hx)
        return 2.0 * output, final


class OnlyOutput(nn.LSTM):
    def forward(self, input, hx=None):
        return super().forward(input, hx)[0]


class Cut(nn.LSTM):
    def forward(self, input, hx=None):
        output, final = super().forward(input, hx)
        return output[1:], final


class Taking(nn.LSTM):
    def forward(self, input, hx=None, scale=None):
        return super().forward(input, hx)


@pytest.mark.parametrize(
    ("family", "arguments", "reason"),
    [
        (Doubled, {}, r"^rnn: run again layer by layer it gives another output \(by \d\.\de-\d\d, allowed 1\.0e-03\)"),
        (OnlyOutput, {}, r"another output \(of another form\)"),
        (Cut, {}, r"another output \(of shape \[4, 4, 3\], not \[5, 4, 3\]\)"),
        (Taking, {"scale": 2.0}, r"^rnn: it cannot be run again layer by layer \(.*'scale'\); it has a forward of its"),
    ],
)
def test_a_forward_of_its_own_is_found(family, arguments, reason):
    module = family(I, H)
    with overriding(module, twin_of(module), check=True, name="rnn"), pytest.raises(RuntimeError, match=reason):
        module(normal(T, B, I, dtype=torch.float32), **arguments)


def test_final_states_are_compared_too():
    class Forgetting(nn.LSTM):
        def forward(self, input, hx=None):
            output, (h, c) = super().forward(input, hx)
            return output, (h, 0.0 * c)

    module = Forgetting(I, H)
    with overriding(module, twin_of(module), check=True), pytest.raises(RuntimeError, match="another output"):
        module(normal(T, B, I, dtype=torch.float32))


def test_what_was_called_is_told():
    module = hg.GRU(I, H)
    with overriding(module, twin_of(module)) as replay:
        module(normal(T, B, I, dtype=torch.float32), lengths=[3, 0, 5, 1])
        assert not replay.chained
        _, state = module(normal(2, 3, I, dtype=torch.float32))
        module(normal(2, 3, I, dtype=torch.float32), state)
    assert [steps.tolist() for steps in replay.steps] == [[3, 0, 5, 1], [2, 2, 2], [2, 2, 2]]
    assert replay.chained
    assert as_states(state)[0].shape == (1, 3, H)
