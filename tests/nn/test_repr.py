"""What a layer prints: torch.nn's arguments, what is unusual about it, and which engine runs and why."""

import itertools
import re

import pytest
import torch
from nn.layer_runs import CELLS, KINDS, normal
from torch import nn

import headgate as hg
from headgate.nn import prepared

OPTIONS = [
    {},
    {"num_layers": 2},
    {"bias": False},
    {"batch_first": True},
    {"num_layers": 3, "dropout": 0.25},
    {"bidirectional": True},
    {"num_layers": 2, "bias": False, "batch_first": True, "dropout": 0.5, "bidirectional": True},
]
CASES = [(kind, options) for kind, options in itertools.product(KINDS, OPTIONS)]
CASES += [("LSTM", {"proj_size": 2}), ("LSTM", {"proj_size": 2, "num_layers": 2, "bidirectional": True})]


@pytest.mark.parametrize(
    ("kind", "options"), CASES, ids=lambda value: value if isinstance(value, str) else "-".join(value)
)
def test_it_begins_with_what_torch_prints(kind, options):
    theirs_class, ours_class, more = KINDS[kind]
    theirs, ours = theirs_class(3, 5, **options, **more), ours_class(3, 5, **options, **more)
    printed = repr(ours)
    assert printed.startswith(repr(theirs).removesuffix(")") + ", ")
    arguments = printed.removeprefix(repr(theirs).removesuffix(")")).partition(", engine=")[0]
    assert arguments == (", nonlinearity='relu'" if more else "")


def test_the_engine_chosen_and_why():
    assert repr(hg.LSTM(3, 4)) == "LSTM(3, 4, engine=cpu (compiled, all steps in one call))"
    assert repr(hg.LSTM(3, 4, engine="eager")) == "LSTM(3, 4, engine=eager (asked for))"
    assert repr(hg.LSTM(3, 4, device="meta")) == (
        "LSTM(3, 4, engine=stock (it runs on a CPU, and the input is on meta))"
    )
    assert repr(hg.GRU(3, 4, dtype=torch.bfloat16)) == "GRU(3, 4, engine=cpu (compiled, all steps in one call))"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=["f32", "f64", "bf16"])
@pytest.mark.parametrize("cell", CELLS)
def test_the_engine_shown_is_the_one_that_runs(cell, dtype, monkeypatch):
    """Each engine is replaced by one that writes its name down; nothing else may have run."""
    from headgate import engines

    layer, ran = hg.Recurrent(cell, 3, 4, dtype=dtype), []
    for name in engines.names():
        for function in ("forward", "stack"):
            module = engines.engine_named(name)
            if hasattr(module, function):
                original = getattr(module, function)

                def noted(*args, original=original, name=name, **kwargs):
                    ran.append(name)
                    return original(*args, **kwargs)

                monkeypatch.setattr(module, function, noted)
    # Prepared calls are the compiled engine's, without its `forward`.
    once = prepared.Ready.__call__
    monkeypatch.setattr(prepared.Ready, "__call__", lambda *args: (ran.append("cpu"), once(*args))[1])
    layer(normal(2, 1, 3, dtype=dtype))
    shown = re.search(r"engine=(\w+) \(", repr(layer)).group(1)
    assert set(ran) == {shown}


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (lambda: hg.LSTM(3, 4, coupled=True), "LSTM(3, 4, coupled=True, engine="),
        (
            lambda: hg.LSTM(3, 4, 2, peephole=True, output_activation="identity"),
            "peephole=True, output_activation='identity'",
        ),
        (lambda: hg.GRU(3, 4, reset="before"), "GRU(3, 4, reset='before', engine="),
        (lambda: hg.RNN(3, 4, 1, "relu"), "RNN(3, 4, nonlinearity='relu', engine="),
        (lambda: hg.LSTM(3, 4, learnable_state=True), "LSTM(3, 4, learnable_state=True, engine="),
        (lambda: hg.Recurrent("gru", 3, 4), "Recurrent(GRU, 3, 4, engine="),
        (lambda: hg.Recurrent("cifg_lstm", 3, 4), "Recurrent(LSTM(coupled=True), 3, 4, engine="),
    ],
    ids=["coupled", "two-switches", "reset", "relu", "learnable", "gru", "cifg"],
)
def test_what_is_unusual_is_shown(layer, text):
    assert text in repr(layer())


def test_within_a_model_and_on_meta():
    model = nn.Sequential(hg.LSTM(3, 4, device="meta"), nn.Linear(4, 2))
    assert "(0): LSTM(3, 4, engine=" in repr(model)


@pytest.mark.parametrize("cell", CELLS)
def test_it_is_one_line_that_names_both_sizes(cell):
    printed = repr(hg.Recurrent(cell, 3, 4, 2))
    assert "\n" not in printed
    assert "3, 4, num_layers=2" in printed


def test_it_follows_what_is_changed_later():
    layer = hg.LSTM(3, 4, 2)
    layer.dropout, layer.engine = 0.5, "eager"
    assert repr(layer) == "LSTM(3, 4, num_layers=2, dropout=0.5, engine=eager (asked for))"
