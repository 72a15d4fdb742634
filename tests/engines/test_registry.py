"""Which engine runs what: the first that can, or the one asked for, or an error that says which would."""

import sys
from itertools import product

import pytest
import torch
from engines.running import call_of
from reference.cases import CELLS, case_of

from headgate import engines
from headgate.cells import Cell, State, tanh
from headgate.engines import Request, registry

CPU = torch.device("cpu")
PLAIN = ("lstm", "lstmp", "gru", "rnn", "relu_rnn")


def request(name="lstm", dtype=torch.float32, **asked):
    return Request(CELLS[name], CPU, dtype, **asked)


class Mine(Cell):
    gates = "a"

    def step(self, x, U, s):
        return State(h=tanh(x.a + U.a(s.h)))


# --- what there is ----------------------------------------------------------------------------------------------


def test_engines_come_fastest_first():
    priorities = [engines.engine_named(name).PRIORITY for name in engines.names()]
    assert priorities == sorted(priorities, reverse=True)
    assert {"eager", "stock"} <= set(engines.names())
    assert len(set(priorities)) == len(priorities), "two engines of one priority: which runs would be chance"


@pytest.mark.parametrize("name", engines.names())
def test_every_engine_keeps_the_contract(name):
    module = engines.engine_named(name)
    assert module.__name__ == f"headgate.engines.{name}"
    assert module.__doc__ and module.ADVANTAGE and callable(module.refusal) and callable(module.forward)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("eagre", r"no engine named 'eagre'; did you mean 'eager'\? Known: .*None lets headgate choose"),
        ("cuda", r"no engine named 'cuda'; .*Known: "),
        ("contract", "no engine named 'contract'"),
        ("operator", "no engine named 'operator'"),
        (None, "no engine named None"),
    ],
)
def test_an_unknown_engine_is_refused_with_a_hint(name, message):
    with pytest.raises(ValueError, match=message):
        engines.engine_named(name)
    if name is not None:
        with pytest.raises(ValueError, match=message):
            engines.choose(request(), name)


FAST_FILE = """
PRIORITY = 1000
ADVANTAGE = "made up for a test"

def refusal(request):
    return "it only runs GRUs" if type(request.cell).__name__ != "GRU" else None

def forward(call):
    return None
"""


@pytest.fixture
def one_more_engine(tmp_path, monkeypatch):
    (tmp_path / "made_up.py").write_text(FAST_FILE)
    monkeypatch.setattr(engines, "__path__", [*engines.__path__, str(tmp_path)])
    registry._engines.cache_clear()
    yield
    registry._engines.cache_clear()
    sys.modules.pop("headgate.engines.made_up", None)
    delattr(engines, "made_up")


def test_adding_an_engine_is_adding_a_file(one_more_engine):
    assert engines.names()[0] == "made_up"
    assert engines.choose(request("gru")) == "made_up"
    assert engines.explain(request("gru")) == "made_up (made up for a test)"
    assert engines.choose(request("lstm")) != "made_up"
    assert engines.explain(request("lstm")).endswith("(it only runs GRUs)")
    with pytest.raises(RuntimeError, match=r'engine="made_up" cannot run here: it only runs GRUs\. Leave engine=None'):
        engines.choose(request("lstm"), "made_up")


# --- choosing ---------------------------------------------------------------------------------------------------

REQUESTS = [
    request(name, dtype, lengths=lengths, reset=reset, all_states=all_states)
    for name, dtype in product(["lstm", "gru", "greff_fgr"], [torch.float32, torch.float64, torch.bfloat16])
    for lengths, reset, all_states in product([False, True], repeat=3)
]


def test_the_first_that_can_is_chosen():
    for asked in REQUESTS:
        able = [name for name in engines.names() if engines.engine_named(name).refusal(asked) is None]
        assert engines.choose(asked) == able[0]


def test_the_one_asked_for_runs_or_says_why_not_and_which_would():
    refused = 0
    for asked, name in product(REQUESTS, engines.names()):
        reason = engines.engine_named(name).refusal(asked)
        if reason is None:
            assert engines.choose(asked, name) == name
            continue
        refused += 1
        with pytest.raises(RuntimeError) as error:
            engines.choose(asked, name)
        assert str(error.value) == (
            f'engine="{name}" cannot run here: {reason}. Leave engine=None to let headgate choose '
            f'(it would choose "{engines.choose(asked)}").'
        )
    assert refused


def test_why_is_told_in_a_few_words():
    assert engines.explain(request(), "eager") == "eager (asked for)"
    first = engines.engine_named(engines.names()[0])
    for asked in REQUESTS:
        assert engines.explain(asked) == f"{engines.choose(asked)} ({first.refusal(asked) or first.ADVANTAGE})"


def test_a_call_knows_its_request():
    case = case_of("gru", options="lengths reset")
    assert call_of(case, torch.float64).request == request("gru", torch.float64, lengths=True, reset=True)
    assert call_of(case_of("gru"), torch.float32).request == request("gru")


# --- refusals ---------------------------------------------------------------------------------------------------


def test_eager_refuses_nothing():
    eager = engines.engine_named("eager")
    assert not [asked for asked in REQUESTS if eager.refusal(asked)]
    assert eager.refusal(Request(Mine(), CPU, torch.float16, True, True, True)) is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("lengths", [False, True], ids=["whole", "lengths"])
@pytest.mark.parametrize("name", CELLS)
def test_stock_takes_the_plain_cells_and_no_others(name, lengths, dtype):
    reason = engines.engine_named("stock").refusal(request(name, dtype, lengths=lengths))
    if name in PLAIN:
        assert reason is None
    else:
        assert reason == f"torch has no kernel for {CELLS[name].name}"


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (request(reset=True), "torch's kernels know no reset"),
        (request(all_states=True), "torch's kernels keep the cell state to themselves"),
        (request(dtype=torch.bfloat16), "carry the state in half precision, which loses small additions"),
        (request(dtype=torch.float16), "carry the state in half precision, which loses small additions"),
        (request("peephole_lstm"), "torch has no kernel for LSTM(peephole=True)"),
        (Request(Mine(), CPU, torch.float32), "torch has no kernel for Mine"),
    ],
    ids=["reset", "all states", "bfloat16", "float16", "peepholes", "a user's cell"],
)
def test_stock_refuses_by_reason(asked, reason):
    assert reason in engines.engine_named("stock").refusal(asked)
    assert engines.engine_named(engines.choose(asked)).refusal(asked) is None


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
@pytest.mark.parametrize(
    "transform",
    [
        lambda f, x: torch.func.vmap(f)(x),
        lambda f, x: torch.func.grad(lambda v: f(v).sum())(x),
        lambda f, x: torch.func.jvp(f, (x,), (x,)),
        lambda f, x: torch.func.jacrev(f)(x),
    ],
    ids=["vmap", "grad", "jvp", "jacrev"],
)
def test_stock_refuses_inside_transforms_and_only_there(transform):
    stock, seen = engines.engine_named("stock"), []

    def function(x):
        seen.append((stock.refusal(request()), engines.choose(request())))
        return x * 2

    transform(function, torch.ones(3))
    assert seen == [("torch's kernels cannot be vmapped or differentiated forward", "eager")]
    assert stock.refusal(request()) is None


def test_stock_refuses_dual_numbers():
    stock = engines.engine_named("stock")
    with torch.autograd.forward_ad.dual_level():
        assert "differentiated forward" in stock.refusal(request())
    assert stock.refusal(request()) is None
