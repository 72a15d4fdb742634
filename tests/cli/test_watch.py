"""`headgate watch`: a run's models and a user's own, what it writes and prints, and how it refuses."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from headgate import cells, tasks
from headgate.cli import main, watch
from headgate.inspection import Record
from headgate.tasks import Batch
from headgate.training import subject
from headgate.training.model_folder import ModelFolder
from headgate.training.network import seeded_network
from headgate.training.run_folder import RunFolder

H, STEPS = 3, 6
# A module of a user's own; every test that imports it gives it a name of its own, since Python keeps modules.
OWN = """
import torch
from torch import nn

class Model(nn.Module):
    def __init__(self, features=2):
        super().__init__()
        self.encoder = nn.LSTM(features, 3, batch_first=True)
        self.head = nn.Linear(3, 1)

    def forward(self, x):
        return self.head(self.encoder(x)[0][:, -1])[:, 0]

def build():
    torch.manual_seed(0)
    return Model()

def with_losses():
    return build(), lambda model, batch: (model(batch["x"]) - 1.0).abs()

def broken_losses():
    return build(), lambda model, batch: [][1]

def stateful():
    return nn.Linear(2, 1)

def raises():
    raise ZeroDivisionError("no luck,\\nat all")

def leaves():
    raise SystemExit(3)

def nothing():
    return None

def triple():
    return build(), None, None

def uncallable():
    return build(), "cross entropy"

def batches():
    torch.manual_seed(1)
    x = torch.randn(8, 6, 2)
    yield x, x[:, 0, 0]

def dictionaries():
    return [{"x": x} for x, _ in batches()]

def words():
    return "some words"

def number():
    return 5

value = 3
"""


def model_folder(task: str = "digits", cell: str = "lstm", seed: int = 0, size: int = H) -> ModelFolder:
    about = tasks.get(task)
    network = seeded_network(seed, cells.get(cell), about.input_size, size, about.output_size, about.reads)
    weights = {name: value.detach() for name, value in network.state_dict().items()}
    return ModelFolder(task, cell, size, seed, 0, weights)


def save_npz(path, x=None, y=None, features: int = 1, rows: int = 6, **more):
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, STEPS, features)).astype(np.float32) if x is None else x
    y = np.arange(rows) % 3 if y is None else y
    np.savez(path, x=x, y=y, **more)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run as `headgate demo` leaves it, of two cells; of the LSTM there are two seeds."""
    models = {f"digits/{cell}/{seed}": model_folder("digits", cell, seed) for cell, seed in PRESENT}
    return RunFolder({"trials": []}, {}, models).save(tmp_path_factory.mktemp("run") / "run")


PRESENT = (("lstm", 10), ("lstm", 9), ("rnn", 0))


@pytest.fixture(autouse=True)
def few_rows(monkeypatch):
    monkeypatch.setattr(subject, "ROWS", 8)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def own(here, name: str) -> str:
    """Write the user's module; its name."""
    (here / f"{name}.py").write_text(OWN)
    return name


def outcome(capfd, *arguments) -> tuple[int, str, str]:
    code = main(["watch", *map(str, arguments)])
    out, error = capfd.readouterr()
    return code, out, error


def everything(folder) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if "__pycache__" not in str(p)}


# --- what it does


def test_a_run_is_looked_at_model_by_model(run, here, capfd):
    code, out, error = outcome(capfd, run, "--no-causes", "--out", "deep/page.html", "--records", "kept")
    names = ["digits-lstm.rnn.l0", "digits-rnn.rnn.l0"]
    assert code == 0 and [line for line in error.splitlines() if line.startswith("looking at")] == [
        "looking at digits-lstm",
        "looking at digits-rnn",
    ]
    page = (here / "deep" / "page.html").read_text()
    assert all(name in page and name in out for name in names)
    assert "The page: deep/page.html" in out and "NEED UNKNOWN" in out
    assert sorted(p.name for p in (here / "kept").iterdir()) == names and sorted(everything(here / "deep")) == [
        "page.html"
    ]
    for name in names:
        record = Record.load(here / "kept" / name)
        assert record.name == name and record.facts["train_length"] == 64
        assert record.facts["loss"]["chance"] == tasks.get("digits").baseline()["loss"]
        json.dumps(record.facts, allow_nan=False)


def test_of_several_seeds_the_first_is_taken_as_numbers_go(run):
    found = subject.of_run(run)
    kept = {one.name: one.model.state_dict()["rnn.weight_ih_l0"] for one in found}
    assert torch.equal(kept["digits-lstm"], model_folder("digits", "lstm", 9).weights["rnn.weight_ih_l0"])


def test_one_models_folder_and_what_is_asked_reaches_the_verdicts(run, here, capfd):
    place = run / "models" / "digits" / "rnn" / "0"
    asked = ("--needs-lag", 60, "--tbptt", 20, "--chance", 0.5, "--no-causes", "--records", "kept")
    code, out, _ = outcome(capfd, place, *asked)
    facts = Record.load(here / "kept" / "rnn.l0").facts
    assert code == 0 and "rnn.l0" in (here / "watch.html").read_text()
    assert (facts["needs_lag"], facts["tbptt"], facts["loss"]["chance"]) == (60, 20, 0.5)
    assert facts["horizons"]["used"] == {"missing": "not asked for"}
    assert "rnn.l0: TBPTT-BLIND. " in out and "(N = 60, cut at 20; rule: N > truncation length)" in out
    assert "VANISHING" in out and "NEED UNKNOWN" not in out


def test_a_file_takes_the_place_of_the_runs_sequences(run, here, capfd):
    save_npz(here / "mine.npz")
    place = run / "models" / "digits" / "lstm" / "9"
    code, _, _ = outcome(capfd, place, "mine.npz", "--records", "kept", "--no-causes")
    assert code == 0 and Record.load(here / "kept" / "rnn.l0").facts["steps"] == STEPS


def test_answers_of_a_task_with_numbers_may_come_flat(here):
    place = model_folder("adding", "rnn").save(here / "model")
    for number, y in enumerate((np.ones(6), np.ones((6, 1)), np.ones((6, 1, 1)), np.ones(6, int))):
        (one,) = subject.of_run(place, save_npz(here / f"{number}.npz", y=y, features=2))
        target = one.batches[0].target
        assert list(target.shape) == [1, 3, 1] and target.dtype == torch.float32
        assert one.losses(one.model, one.batches[0]).shape == (3,)


def test_a_model_of_ones_own_with_a_file(here, capfd):
    name = own(here, "mine_file")
    save_npz(here / "mine.npz", features=2, y=np.linspace(0, 1, 6))
    given = ("--model", f"{name}:build", "--data", "mine.npz", "--records", "kept", "--needs-lag", 3)
    code, out, _ = outcome(capfd, *given)
    record = Record.load(here / "kept" / "encoder.l0")
    assert code == 0 and "encoder.l0" in out and "encoder.l0" in (here / "watch.html").read_text()
    assert record.facts["loss"]["rows"] == 6 and record.facts["needs_lag"] == 3 and "lag" in (
        record.facts["horizons"]["used"]
    )


def test_a_model_of_ones_own_with_losses_and_batches_of_any_kind(here, capfd):
    name = own(here, "mine_function")
    given = ("--model", f"{name}:with_losses", "--data", f"{name}:dictionaries", "--no-causes", "--records", "kept")
    assert outcome(capfd, *given)[0] == 0
    assert outcome(capfd, "--model", f"{name}:build", "--data", f"{name}:batches", "--no-causes")[0] == 0
    assert (here / "watch.html").is_file() and (here / "kept" / "encoder.l0").is_dir()


def test_the_same_seed_gives_the_same_page(run, here, capfd):
    place = run / "models" / "digits" / "rnn" / "0"
    for name, seed in (("a", 1), ("b", 1)):
        torch.manual_seed(len(name) + seed + torch.initial_seed() % 7)
        assert outcome(capfd, place, "--out", f"{name}.html", "--seed", seed)[0] == 0
    assert (here / "a.html").read_bytes() == (here / "b.html").read_bytes()


def test_an_earlier_page_stays_where_the_work_fails(run, here, capfd, monkeypatch):
    (here / "watch.html").write_text("earlier")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(watch, "write_watch_report", full)
    code, out, error = outcome(capfd, run / "models" / "digits" / "rnn" / "0", "--no-causes", "--records", "kept")
    assert code == 2 and "cannot be written (No space left on device)" in error and out == ""
    assert everything(here) == {"watch.html"} and (here / "watch.html").read_text() == "earlier"


# --- what it refuses

NAN = np.full((6, STEPS, 1), np.nan, np.float32)
X = np.zeros((6, STEPS, 1), np.float32)
FILES = {
    "nan": ({"x": NAN}, "sequence 0 of x holds NaN"),
    "nan answers": ({"y": np.full(6, np.nan)}, "sequence 0 of y holds NaN"),
    "more answers": ({"y": np.arange(5)}, "x has shape [6, 6, 1] and y [5]"),
    "one answer": ({"y": np.array(1)}, "and y []"),
    "no sequences": ({"x": X[:0], "y": np.arange(0)}, "x has shape [0, 6, 1]"),
    "no steps": ({"x": X[:, :0]}, "x has shape [6, 0, 1]"),
    "features": ({"x": np.zeros((6, STEPS, 4), np.float32)}, "x has [4] features a step, but the model in"),
    "no features": ({"x": np.zeros((6, STEPS), int)}, "x has no features a step"),
    "words": ({"x": np.full((6, STEPS, 1), "a")}, "x holds <U1, but numbers are needed"),
    "classes": ({"y": np.arange(6) + 8}, "y must hold classes of the digits, whole numbers 0 to 9"),
    "numbers": ({"y": np.linspace(0, 1, 6)}, "y must hold classes"),
    "answers a step": ({"y": np.zeros((6, STEPS), int)}, "y holds 6 numbers a sequence, but the digits asks for 1"),
}


def refused(outcome_of, here, before: set[str], words: str) -> None:
    code, out, error = outcome_of
    assert code == 2 and out == "" and "Traceback" not in error
    said = [line for line in error.splitlines() if not line.startswith("looking at ")]
    assert len(said) == 1 and said[0].startswith("headgate watch: ") and words in said[0]
    assert everything(here) == before


@pytest.mark.parametrize(("arrays", "words"), FILES.values(), ids=FILES)
def test_data_that_do_not_fit(run, here, capfd, arrays, words):
    save_npz(here / "mine.npz", **arrays)
    refused(outcome(capfd, run / "models" / "digits" / "lstm" / "9", "mine.npz"), here, {"mine.npz"}, words)


def test_files_that_are_no_data(run, here, capfd):
    np.save(here / "array.npz", X)
    (here / "array.npz.npy").rename(here / "array.npz")
    whole = save_npz(here / "whole.npz").read_bytes()
    (here / "half.npz").write_bytes(whole[: len(whole) // 2])
    (here / "flipped.npz").write_bytes(whole[:200] + bytes(100) + whole[300:])
    (here / "text.npz").write_text("1, 2")
    np.savez(here / "names.npz", a=X)
    np.savez(here / "objects.npz", x=np.array([None]), y=X)
    before = everything(here)
    expected = {"names.npz": "holds a, but arrays x and y are needed", "array.npz": "holds one array alone"}
    for name in (*sorted(before - {"whole.npz"}), "missing.npz"):
        words = expected.get(name, f"{name} cannot be read as an .npz file")
        refused(outcome(capfd, run / "models" / "digits" / "lstm" / "9", name), here, before, words)


def damaged(folder, name: str) -> None:
    config, weights = folder / "config.toml", folder / "model.safetensors"
    text, content = config.read_text(), weights.read_bytes()
    changes = {
        "cut weights": lambda: weights.write_bytes(content[: len(content) // 2]),
        "other weights": lambda: model_folder("digits", "gru").save(folder.parent / "gru"),
        "no weights": weights.unlink,
        "no toml": lambda: config.write_text("schema = "),
        "schema": lambda: config.write_text(text.replace("schema = 1", "schema = 2")),
        "task": lambda: config.write_text(text.replace("digits", "digit")),
        "cell": lambda: config.write_text(text.replace("lstm", "ltsm")),
        "own cell": lambda: config.write_text(text.replace("lstm", "nowhere.py:Own")),
        "size": lambda: config.write_text(text.replace("hidden_size = 3", "hidden_size = 4")),
        "words": lambda: config.write_text(text.replace("hidden_size = 3", 'hidden_size = "3"')),
        "below": lambda: config.write_text(text.replace("hidden_size = 3", "hidden_size = -3")),
        "setting": lambda: config.write_text(text + "depth = 2\n"),
        "lacking": lambda: config.write_text(text.replace("seed = 9\n", "")),
    }
    changes[name]()
    if name == "other weights":
        shutil.move(folder.parent / "gru" / "model.safetensors", weights)
        shutil.rmtree(folder.parent / "gru")


DAMAGED = {
    "cut weights": "is damaged (",
    "other weights": "the model's weights do not fit its settings: size mismatch for rnn.weight_ih_l0",
    "no weights": "holds no model.safetensors",
    "no toml": "is damaged (",
    "schema": "was not written by this version of headgate",
    "task": "no task named 'digit'; did you mean 'digits'?",
    "cell": "no cell named 'ltsm'; did you mean 'lstm'?",
    "own cell": "'nowhere.py:Own' is not a file and a name",
    "size": "do not fit its settings",
    "words": "hidden_size is '3'",
    "below": "hidden_size is -3",
    "setting": "'depth'",
    "lacking": "seed is None",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_models_that_are_none(run, here, capfd, name):
    shutil.copytree(run / "models" / "digits" / "lstm" / "9", here / "model")
    damaged(here / "model", name)
    refused(outcome(capfd, "model"), here, everything(here), DAMAGED[name])


# {own} is the user's module, {run} a run.
BAD = {
    (): "give either a run's folder or your own model",
    ("{run}", "--model", "{own}:build"): "and not both",
    ("--model", "{own}:build"): "give --data FILE.npz",
    ("{run}", "--data", "mine.npz"): "--data goes with --model",
    ("nowhere",): "nowhere is no folder",
    ("empty",): "holds no model",
    ("{run}", "--out", "empty"): "--out empty is a folder",
    ("{run}", "--out", "mine.npz/page.html"): "cannot be written",
    ("{run}", "--out", "/proc/headgate/page.html"): "cannot be written",
    ("{run}", "--records", "mine.npz"): "--records mine.npz is a file",
    ("{run}", "--needs-lag", "0"): "--needs-lag",
    ("{run}", "--needs-lag", "soon"): "--needs-lag",
    ("{run}", "--tbptt", "-1"): "--tbptt",
    ("{run}", "--chance", "nan"): "chance=nan is no loss",
    ("{run}", "--depth", "2"): "No such option",
    ("--model", "{own}", "--data", "mine.npz"): "is not of the form module:function",
    ("--model", "nowhere_at_all:build", "--data", "mine.npz"): "run it where nowhere_at_all.py lies",
    ("--model", "{own}:built", "--data", "mine.npz"): "the module has no 'built'",
    ("--model", "{own}:value", "--data", "mine.npz"): "is a int, but something to be called",
    ("--model", "{own}:raises", "--data", "mine.npz"): "calling it gave ZeroDivisionError: no luck, at all.",
    ("--model", "{own}:leaves", "--data", "mine.npz"): "calling it gave SystemExit",
    ("--model", "{own}:nothing", "--data", "mine.npz"): "returned a NoneType, but a torch.nn.Module is needed",
    ("--model", "{own}:triple", "--data", "mine.npz"): "returned a tuple, but a torch.nn.Module is needed",
    ("--model", "{own}:uncallable", "--data", "mine.npz"): "(model, str); the second must be callable",
    ("--model", "{own}:stateful", "--data", "mine.npz"): "Linear holds no recurrent layer",
    ("--model", "{own}:build", "--data", "pairs.npz"): "the model's output has shape [3] and y [3, 2]",
    ("--model", "{own}:build", "--data", "{own}:number"): "returned nothing that can be gone through",
    ("--model", "{own}:build", "--data", "{own}:words"): "a batch is a str",
    ("--model", "{own}:build", "--data", "{own}:raises"): "calling it gave ZeroDivisionError",
    ("--model", "{own}:broken_losses", "--data", "{own}:batches"): "cannot be measured: IndexError: list index",
    ("--model", "{syntax}:build", "--data", "mine.npz"): "importing {syntax} gave SyntaxError",
    ("--model", "{imports}:build", "--data", "mine.npz"): "imports it, so install it first",
    ("--model", "{attribute}:build", "--data", "mine.npz"): "gave AttributeError",
}


@pytest.mark.parametrize("arguments", BAD, ids=" ".join)
def test_what_is_wrong_is_said_in_one_sentence(run, here, capfd, arguments):
    number = list(BAD).index(arguments)
    texts = {"syntax": "def build(:", "imports": "import nothing_of_that_name", "attribute": "import math\nmath.nope"}
    names = {kind: f"{kind}_{number}" for kind in texts} | {"own": own(here, f"own_{number}"), "run": str(run)}
    for kind, text in texts.items():
        (here / f"{names[kind]}.py").write_text(text)
    save_npz(here / "mine.npz", features=2)
    save_npz(here / "pairs.npz", features=2, y=np.zeros((6, 2)))
    (here / "empty").mkdir()
    given = [word.format(**names) for word in arguments]
    refused(outcome(capfd, *given), here, everything(here), BAD[arguments].format(**names))


def test_a_fault_of_ours_is_not_called_the_users(run, here, monkeypatch):
    """Of a run everything is ours, so what nobody thought of shows where it happened."""

    def broken(*arguments, **more):
        raise IndexError("ours")

    monkeypatch.setattr(watch, "examine", broken)
    with pytest.raises(IndexError, match="ours"):
        main(["watch", str(run)])


# --- the file's own reading


def test_time_goes_first_only_where_it_is_asked_for(tmp_path):
    y = np.arange(6 * STEPS).reshape(6, STEPS)
    path = save_npz(tmp_path / "mine.npz", x=np.zeros((6, STEPS, 2), ">f8"), y=y)
    first, second = subject.read_npz(path, batch_first=True)
    assert list(first.input.shape) == [3, STEPS, 2] and first.input.dtype == torch.float32
    assert second.target[0].tolist() == y[3].tolist()
    first, _ = subject.read_npz(path, batch_first=False)
    assert list(first.input.shape) == [STEPS, 3, 2] and first.target[:, 0].tolist() == y[0].tolist()


def test_guessed_losses_are_those_of_each_sequence():
    """A mutant that takes the mean over sequences, or over the wrong axis, gives other numbers."""
    scores, classes = torch.tensor([[[2.0, 0.0]] * 3, [[0.0, 0.0]] * 3]), torch.zeros(2, 3, dtype=torch.long)
    expected = [float(torch.log1p(torch.exp(torch.tensor(-2.0)))), float(torch.log(torch.tensor(2.0)))]

    def guessed(batch, time_major):
        return subject.guessed_losses(torch.nn.Identity(), batch, time_major).tolist()

    assert guessed(Batch(scores, classes), False) == pytest.approx(expected)
    flipped = Batch(scores.transpose(0, 1), classes.T)
    assert guessed(flipped, True) == pytest.approx(expected)
    assert guessed(flipped, False) == pytest.approx([sum(expected) / 2] * 3)
    numbers = Batch(torch.tensor([[1.0], [2.0]]), torch.zeros(2))
    assert guessed(numbers, False) == [1.0, 4.0]
