"""The program around the verbs: found by files, quick to ask for help, one sentence for what is wrong."""

from __future__ import annotations

import importlib.util
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import headgate
from headgate import __version__, cells
from headgate.cli import main
from headgate.cli._program import summary, verbs


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "headgate", *arguments], capture_output=True, text=True, timeout=60)


def test_verbs_are_the_files():
    assert {"bench", "cells", "demo"} <= set(verbs())
    assert all(summary(path) for path in verbs().values())


def test_a_verb_file_without_its_function_is_refused(tmp_path):
    (tmp_path / "walk.py").write_text('"""Walk."""\n')
    with pytest.raises(ValueError, match="has no function 'walk'"):
        summary(tmp_path / "walk.py")


@pytest.mark.parametrize("arguments", ((), ("--help",)))
def test_help_names_every_verb(arguments):
    done = run(*arguments)
    assert done.returncode == 0 and done.stderr == ""
    assert all(name in done.stdout for name in verbs())


def test_version():
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"headgate {__version__}\n")


@pytest.mark.parametrize("arguments", (("--help",), ("--version",), ("cells", "lstm")))
def test_torch_is_not_imported_to_talk(arguments):
    code = (
        "import sys; from headgate.cli import main; main(sys.argv[1:]); print('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == "False"


def test_help_is_fast():
    """Processor time, so that a busy machine does not matter; best of three."""

    def spent() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert run("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(spent() for _ in range(3)) < 0.4


BROKEN = """
from headgate.cells import Cell
class Own(Cell):
    gates = "f"
    def step(self, x, U, s):
        return x.nope
"""
BAD = {
    ("dem",): "No such command 'dem'",
    ("demo", "--seed", "x"): "--seed",
    ("demo", "--seed", "-1"): "--seed",
    ("demo", "--workers", "0"): "--workers",
    ("demo", "--foo"): "No such option: --foo",
    ("demo", "--out", "{file}"): "is a file; give a folder",
    ("demo", "--out", "{file}/below"): "cannot be written",
    ("demo", "--out", "/proc/headgate"): "cannot be written",
    ("demo", "--out", "{full}"): "holds other files",
    ("demo", "--cell", "ltsm"): "no cell named 'ltsm'; did you mean 'lstm'?",
    ("demo", "--cell", "lstm"): "the cell 'lstm' takes part already",
    ("demo", "--cell", "{missing}:Own"): "is not a file and a name",
    ("demo", "--cell", "{raises}:Own"): "ZeroDivisionError",
    ("demo", "--cell", "{raises}"): "no cell named",
    ("demo", "--cell", "{nothing}:Own"): "has no 'Own'",
    ("demo", "--cell", "{broken}:Own"): "cannot be used",
    ("cells", "{raises}:Own"): "ZeroDivisionError",
    ("cells", "ltsm"): "did you mean 'lstm'?",
    ("cells", "lstm", "gru"): "unexpected extra argument",
}


@pytest.mark.parametrize("arguments", BAD, ids=" ".join)
def test_what_is_wrong_is_said_in_one_sentence(arguments, tmp_path, capfd, monkeypatch):
    places = {name: tmp_path / f"{name}.py" for name in ("file", "missing", "raises", "nothing", "broken")}
    places["file"].write_text("mine\n")
    places["raises"].write_text("1 / 0\n")
    places["nothing"].write_text("x = 1\n")
    places["broken"].write_text(BROKEN)
    places["full"] = tmp_path / "full"
    places["full"].mkdir()
    (places["full"] / "precious.txt").write_text("mine\n")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*.*"))
    code = main([word.format(**places) for word in arguments])
    out, error = capfd.readouterr()
    assert code == 2 and out == ""
    assert BAD[arguments] in error and error.startswith("headgate") and error.count("\n") == 1
    assert "Traceback" not in error
    assert [path for path in sorted(tmp_path.rglob("*.*")) if "__pycache__" not in str(path)] == before


@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    (
        ("typer", ["--help"], "headgate[train]"),
        ("rich", ["--help"], "headgate[train]"),
        ("jinja2", ["demo"], "headgate[report]"),
        ("sklearn", ["demo"], "headgate[train]"),
    ),
)
def test_a_missing_extra_is_named_with_what_installs_it(module, arguments, extra, tmp_path):
    """In a fresh interpreter in which the module cannot be found at all."""
    code = (
        "import sys\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}: raise ModuleNotFoundError(name=name)\n"
        "sys.meta_path.insert(0, Hide())\n"
        "import importlib.util\n"
        "known = importlib.util.find_spec\n"
        f"importlib.util.find_spec = lambda name, package=None: None if name == {module!r} else known(name, package)\n"
        "from headgate.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    where = {**os.environ, "PYTHONPATH": str(Path(headgate.__file__).parents[1])}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=where, timeout=60)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert module in done.stderr and f"pip install '{extra}'" in done.stderr
    assert os.listdir(tmp_path) == []


def test_the_catalogue_is_listed(capfd):
    assert main(["cells"]) == 0
    out = capfd.readouterr().out
    assert all(name in out for name in cells.names()) and "Hochreiter & Schmidhuber 1997" in out


@pytest.mark.parametrize("name", cells.names())
def test_a_cell_is_shown_with_gates_states_and_equations(name, capfd):
    assert main(["cells", name]) == 0
    out = capfd.readouterr().out
    assert out.startswith(f"{name}: {cells.get(name).name}\n")
    assert all(f"{state}_t" in out for state in cells.get(name).state_names if len(state) == 1)


def test_the_example_cell_is_shown(capfd):
    example = os.path.join(os.path.dirname(__file__), "..", "..", "examples", "my_cell.py")
    assert main(["cells", f"{example}:MyCell"]) == 0
    assert "f_t = \\sigma" in capfd.readouterr().out


def test_modules_named_in_messages_exist():
    assert all(importlib.util.find_spec(name) for name in ("typer", "rich", "jinja2", "latex2mathml", "sklearn"))
