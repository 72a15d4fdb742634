"""The command: what it refuses, what it leaves behind, and when it writes the README."""

from __future__ import annotations

import pytest

from benchmarks import __main__ as command
from benchmarks import peers, readme, results, suite
from benchmarks.problem import ROOT
from headgate.cli import bench, main


@pytest.fixture
def made_up(tmp_path, execute, monkeypatch):
    """The command with made-up times, peers that are all there, and a README of its own."""
    monkeypatch.setattr(suite, "in_process", execute)
    monkeypatch.setattr(suite, "busy", lambda cores: None)
    monkeypatch.setattr(suite, "_head", lambda workload, peer: _row(workload.name, peer))
    for name in ("RESULTS", "QUICK_RESULTS"):
        monkeypatch.setattr(command, name, tmp_path / name)
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "README", tmp_path / "README.md")
    monkeypatch.setattr(command, "README_FIGURE", tmp_path / "docs" / "bench.svg")
    command.README.write_text(f"before\n{readme.BEGIN}\n{readme.END}\nafter\n")
    return execute


def _row(workload: str, peer: str) -> dict:
    return {"workload": workload, "peer": peer, "words": peer, "version": "1"}


def test_everything_outside_the_grid_writes_the_readme_and_its_figure(made_up, capsys):
    assert command.main(["--workload", "!grid-*", "--threads", "1"]) == 0
    assert "| GRU fp32 H=128 B=1 T=256 forward + backward |" in command.README.read_text()
    assert command.README_FIGURE.read_text() == (command.RESULTS / suite.FIGURE).read_text()
    assert "README.md and docs/bench.svg show them." in capsys.readouterr().out
    asked = len(made_up.tasks)
    assert command.main(["--workload", "!grid-*", "--threads", "1"]) == 0
    assert len(made_up.tasks) == asked
    assert command.main(["--workload", "gru-step*", "--threads", "1", "--again"]) == 0
    assert len(made_up.tasks) == asked + 3


@pytest.mark.parametrize("options", (["--workload", "gru-*"], ["--quick"], ["--out", "{out}"]), ids=" ".join)
def test_less_than_that_leaves_the_readme_alone(options, made_up, tmp_path):
    before = command.README.read_text()
    assert command.main(["--threads", "1", *(word.format(out=tmp_path / "own") for word in options)]) == 0
    assert command.README.read_text() == before and not command.README_FIGURE.exists()


def test_a_peer_that_is_not_installed_leaves_the_readme_alone(made_up, monkeypatch):
    missing = {"version": "", "status": "skipped", "reason": "jax is not installed"}
    monkeypatch.setattr(suite, "_head", lambda work, peer: _row(work.name, peer) | (missing if peer == "jax" else {}))
    before = command.README.read_text()
    assert command.main(["--workload", "!grid-*", "--threads", "1"]) == 0
    assert command.README.read_text() == before


def test_a_peer_that_computes_something_else_is_an_error(made_up, monkeypatch):
    monkeypatch.setattr(suite, "in_process", lambda task, caches: {"status": "refused", "reason": "output differs"})
    assert command.main(["--workload", "gru-step*", "--threads", "1"]) == 1


def test_a_run_that_is_stopped_says_where_its_rows_are(made_up, monkeypatch, capsys):
    def stopped(task, caches):
        raise KeyboardInterrupt

    monkeypatch.setattr(suite, "in_process", stopped)
    assert command.main(["--workload", "gru-step*", "--threads", "1"]) == 130
    assert "rows.jsonl, and the same command goes on" in capsys.readouterr().err


BAD = {
    ("--workload", "grids-*"): "no workload named 'grids-*'",
    ("--peer", "torch"): "no peer named 'torch'; known: eager",
    ("--threads", "0"): "--threads 0, but this machine has",
    ("--threads", "100000"): "--threads 100000, but this machine has",
    ("--out", "{file}/below"): "cannot be written",
    ("--out", "/proc/headgate"): "cannot be written",
}


@pytest.mark.parametrize("arguments", BAD, ids=" ".join)
def test_what_is_wrong_is_said_in_one_sentence(arguments, made_up, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert command.main([word.format(file=tmp_path / "file") for word in arguments]) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.startswith("headgate bench: ") and BAD[arguments] in error and error.count("\n") == 1
    assert made_up.tasks == []


def test_the_list_has_every_workload(capsys):
    assert command.main(["--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(suite.all_workloads())


def test_a_busy_machine_is_warned_of(monkeypatch):
    monkeypatch.setattr(suite.os, "getloadavg", lambda: (1.5, 0.0, 0.0))
    assert suite.busy(2).startswith("the load is 1.50") and suite.busy(4) is None


def test_the_verb_hands_on_what_it_is_given(capfd):
    assert main(["bench", "--peer", "nope", "--workload", "gru-*"]) == 2
    assert capfd.readouterr().err.startswith("headgate bench: no peer named 'nope'; known: " + peers.names()[0])
    assert main(["bench", "--list"]) == 0
    assert "gru-both-128x1x256" in capfd.readouterr().out


def test_the_verb_refuses_where_the_source_is_not(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    assert main(["bench"]) == 2
    out, error = capfd.readouterr()
    assert out == "" and error.count("\n") == 1
    assert error.startswith("headgate bench: the benchmarks are a part of the source") and "pip install" in error


def test_the_readme_of_the_source_has_its_markers():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count(readme.BEGIN) == text.count(readme.END) == 1
    assert text.index(readme.BEGIN) < text.index(readme.END)


def test_circumstances_name_what_figures_depend_on():
    found = results.circumstances(2, True)
    assert found["threads"] == 2 and found["quick"] is True and len(found["code"]) == 12 and found["machine"]
