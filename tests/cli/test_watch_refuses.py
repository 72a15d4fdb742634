"""`headgate watch`: what it refuses, in one sentence and before anything is written."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from cli.watched import STEPS, everything, model_folder, outcome, own, refused, save_npz

pytestmark = pytest.mark.usefixtures("few_rows")

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


def test_text_where_there_is_none(run, here, capfd):
    words = "has no text to show; leave it out"
    refused(outcome(capfd, run / "models" / "digits" / "lstm" / "9", "--text"), here, set(), words)


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
