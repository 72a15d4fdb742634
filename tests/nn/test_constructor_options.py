"""Every option of every constructor changes what the layer does, or is refused. A new option without a test fails."""

import inspect
from dataclasses import fields

import pytest
import torch
from nn.layer_runs import named, normal

import headgate as hg

INPUT = normal(4, 3, 3, dtype=torch.float32)
COMMON = (
    "input_size",
    "hidden_size",
    "num_layers",
    "bias",
    "batch_first",
    "bidirectional",
    "device",
    "dtype",
    "engine",
)
COMMON += ("dropout", "learnable_state", "orthogonal")

# Option of Recurrent -> what it is set to, and what it is compared with where that is not the default layer.
CHANGES = {
    "cell": ("gru", {}),
    "input_size": (4, {}),
    "hidden_size": (6, {}),
    "num_layers": (2, {}),
    "bias": (False, {}),
    "batch_first": (True, {}),
    "dropout": (0.5, {"num_layers": 2}),
    "bidirectional": (True, {}),
    "proj_size": (2, {}),
    "device": ("meta", {}),
    "dtype": (torch.float64, {}),
    "engine": ("eager", {}),
    "learnable_state": (True, {}),
    "forget_bias": (1.0, {}),
    "chrono": (40, {}),
    "orthogonal": (True, {}),
    "layer_norm": (True, {}),
    "zoneout": (0.5, {}),
}
SWITCHES = {
    ("lstm", "peephole"): (True, {}),
    ("lstm", "coupled"): (True, {}),
    ("lstm", "input_gate"): (False, {}),
    ("lstm", "forget_gate"): (False, {}),
    ("lstm", "output_gate"): (False, {}),
    ("lstm", "input_activation"): ("identity", {}),
    ("lstm", "output_activation"): ("identity", {}),
    ("lstm", "full_gate_recurrence"): (True, {}),
    ("gru", "reset"): ("before", {}),
    ("rnn", "nonlinearity"): ("relu", {}),
}
REFUSED = {
    ("lstm", "projection"): (True, "switched on by proj_size"),
}
FAMILIES = {"lstm": hg.LSTM, "gru": hg.GRU, "rnn": hg.RNN}


def options_of(constructor):
    parameters = inspect.signature(constructor).parameters.values()
    return {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name != "self"}


def observed(build, **options):
    """All that a user sees of a layer: its weights, what it returns, and where; drawn from one seed."""
    torch.manual_seed(0)
    layer = build(**options)
    weights = {name: (p.dtype, p.device.type, p.shape) for name, p in layer.named_parameters()}
    found = {"weights": weights, "repr": repr(layer)}
    if layer.weight_ih_l0.is_meta:
        return found
    input = normal(4, 3, layer.input_size, dtype=layer.weight_ih_l0.dtype)
    torch.manual_seed(1)
    result = named(layer(input))
    return found | {name: (value.dtype, value.shape, value.tolist()) for name, value in result.items()}


def recurrent(**options):
    return hg.Recurrent(**{"cell": "lstm", "input_size": 3, "hidden_size": 5, **options})


def test_no_option_is_without_a_test():
    assert options_of(hg.Recurrent.__init__) == set(CHANGES)
    tested = set(SWITCHES) | set(REFUSED)
    assert {(family, field.name) for family in FAMILIES for field in fields(hg.cells.get(family))} == tested
    assert options_of(hg.RNN.__init__) <= set(CHANGES) | {"nonlinearity"}


# What is seen only after training or elsewhere, and is tested where it is named.
SILENT_AT_FIRST = {"learnable_state": "test_learnable_state.py", "engine": "test_engine_names.py"}


@pytest.mark.parametrize("option", CHANGES)
def test_an_option_changes_the_layer(option):
    value, beside = CHANGES[option]
    default, changed = observed(recurrent, **beside), observed(recurrent, **beside, **{option: value})
    seen = {name for name in default.keys() | changed.keys() if default.get(name) != changed.get(name)}
    if option not in SILENT_AT_FIRST:
        seen -= {"repr"}
    assert seen, f"{option}={value!r} changes nothing"


@pytest.mark.parametrize(("family", "switch"), SWITCHES)
def test_a_switch_changes_the_output(family, switch):
    value, beside = SWITCHES[family, switch]
    sizes = {"input_size": 3, "hidden_size": 5, **beside}
    default = observed(FAMILIES[family], **sizes)
    changed = observed(FAMILIES[family], **sizes, **{switch: value})
    assert default["output"] != changed["output"]
    assert changed["output"] == observed(hg.Recurrent, cell=family, **sizes, **{switch: value})["output"]


@pytest.mark.parametrize(("family", "switch"), REFUSED)
def test_a_switch_that_would_do_nothing_is_refused(family, switch):
    value, text = REFUSED[family, switch]
    with pytest.raises(TypeError, match=text):
        FAMILIES[family](3, 5, **{switch: value})


@pytest.mark.parametrize("option", COMMON)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_three_classes_pass_every_option_on(family, option):
    value, beside = CHANGES[option]
    sizes = {"input_size": 3, "hidden_size": 5, **beside} | {option: value}
    actual = observed(FAMILIES[family], **sizes)
    expected = observed(hg.Recurrent, cell=family, **sizes)
    assert actual.keys() == expected.keys()
    for name in actual.keys() - {"repr"}:
        assert actual[name] == expected[name], name


CONTRADICTIONS = {
    "forget_bias-and-chrono": {"forget_bias": 3.0, "chrono": 20},
    "no-bias-forget_bias": {"bias": False, "forget_bias": 1.0},
    "no-bias-chrono": {"bias": False, "chrono": 20},
    "coupled-without-input-gate": {"coupled": True, "input_gate": False},
    "coupled-without-forget-gate": {"coupled": True, "forget_gate": False},
    "peephole-without-gates": {"peephole": True, "input_gate": False, "forget_gate": False, "output_gate": False},
    "recurrence-of-no-gates": {
        "full_gate_recurrence": True,
        "input_gate": False,
        "forget_gate": False,
        "output_gate": False,
    },
    "projection-denied": {"projection": False, "proj_size": 2},
    "forget_bias-without-forget-gate": {"forget_gate": False, "forget_bias": 1.0},
    "chrono-without-forget-gate": {"forget_gate": False, "chrono": 20},
}


@pytest.mark.parametrize("options", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_options_that_contradict_each_other_are_refused(options):
    with pytest.raises((ValueError, TypeError)) as caught:
        hg.LSTM(3, 5, **options)
    assert any(option in str(caught.value) for option in options)


def test_every_pair_of_switches_builds_a_layer_of_its_own_or_is_refused():
    """No switch is lost because of another."""
    changes = {switch: value for (family, switch), (value, _) in SWITCHES.items() if family == "lstm"}
    for first, second in [(a, b) for a in changes for b in changes if a < b]:
        try:
            both = observed(hg.LSTM, input_size=3, hidden_size=5, **{s: changes[s] for s in (first, second)})
        except ValueError:
            continue
        for one in (first, second):
            alone = observed(hg.LSTM, input_size=3, hidden_size=5, **{one: changes[one]})
            assert both["output"] != alone["output"], (first, second)


def test_a_learned_state_changes_the_output_once_trained():
    layer = hg.LSTM(3, 5, learnable_state=True)
    before = layer(INPUT)[0].detach()
    layer(INPUT)[0].sum().backward()
    with torch.no_grad():
        layer.initial_c_l0.sub_(layer.initial_c_l0.grad)
    assert not torch.equal(layer(INPUT)[0], before)


def test_orthogonal_false_and_the_other_neutral_values_are_the_default():
    neutral = {"orthogonal": False, "learnable_state": False, "forget_bias": None, "chrono": None, "engine": None}
    assert observed(recurrent, **neutral) == observed(recurrent)
