"""The main job, end to end with tiny settings: what it writes, what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from training.small import TINY, own_cell

from headgate.cli import demo, main
from headgate.report import write_report
from headgate.training.run_folder import RunFolder
from headgate.training.subject import of_run

TINY_RECIPES = {name: TINY for name in ("adding", "digits")}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """One tiny run with a cell of one's own: folder, exit code, stdout, stderr."""
    folder = tmp_path_factory.mktemp("demo")
    own = own_cell(folder)
    patch = pytest.MonkeyPatch()
    patch.setattr(demo, "RECIPES", TINY_RECIPES)
    patch.setattr(demo, "SEEDS", 1)
    out, error = folder / "stdout", folder / "stderr"
    with out.open("w") as stdout, error.open("w") as stderr:
        patch.setattr(sys, "stdout", stdout)
        patch.setattr(sys, "stderr", stderr)
        code = main(["demo", "--out", str(folder / "run"), "--seed", "3", "--cell", own, "--workers", "1"])
        patch.undo()
    return folder / "run", code, out.read_text(), error.read_text()


def test_an_lstm_that_fails_ends_with_one_and_is_said_everywhere(done):
    folder, code, out, error = done
    assert code == 1
    assert "the LSTM did not solve the adding problem and the digits on every seed" in error
    assert "This run does not show what it is there to show" in out
    assert "did not solve" in (folder / "report.html").read_text()


def test_the_table_has_a_line_for_each_task_and_cell(done):
    lines = [
        line for line in done[2].splitlines() if any(f" {cell} " in line for cell in ("RNN", "GRU", "LSTM", "Own"))
    ]
    table = [line for line in lines if "%" in line and " no " in line]
    assert len(table) == 8
    for heading in ("params", "score", "trivial", "solved", "gradient"):
        assert heading in done[2].splitlines()[0] + done[2].splitlines()[1]


def test_the_folder_holds_results_records_page_and_picture(done):
    folder = done[0]
    expected = ["figure.svg", "models", "records", "report.html", "results.json"]
    assert sorted(path.name for path in folder.iterdir()) == expected
    run = RunFolder.load(folder)
    assert [cell["label"] for cell in run.results["cells"]] == ["RNN", "GRU", "LSTM", "Own"]
    assert {trial["seed"] for trial in run.results["trials"]} == {3} and len(run.results["trials"]) == 8
    assert (folder / "records" / "adding" / "own" / "3-after" / "record.json").is_file()
    assert run.results["command"].startswith("headgate demo --seed 3 --cell ")


def test_the_folder_is_what_the_watch_reads(done):
    names = [f"{task}-{cell}" for task in ("adding", "digits") for cell in ("gru", "lstm", "own", "rnn")]
    subjects = of_run(done[0])
    assert [subject.name for subject in subjects] == names
    assert all(subject.losses(subject.model, subject.batches[0]).isfinite().all() for subject in subjects)


def test_the_page_can_be_made_again_from_the_folder_alone(done):
    before = (done[0] / "report.html").read_bytes()
    write_report(done[0])
    assert (done[0] / "report.html").read_bytes() == before
    assert b"Own" in before and b"http" not in before


def test_progress_goes_to_stderr_line_by_line_where_there_is_no_terminal(done):
    lines = [line for line in done[3].splitlines() if " of 8: " in line]
    assert len(lines) == 8 and lines[-1].startswith("8 of 8: ")


def test_a_run_as_it_should_be_ends_with_nought(done, tmp_path, capfd, monkeypatch):
    """The same results with the LSTM's seeds marked as solved."""
    run = RunFolder.load(done[0])
    trials = [{**t, "solved": t["solved"] or t["cell"] == "lstm"} for t in run.results["trials"]]
    solved = replace(run, results={**run.results, "trials": trials})
    monkeypatch.setattr(demo, "_run", lambda *arguments: solved)
    assert main(["demo", "--out", str(tmp_path / "run")]) == 0
    out, error = capfd.readouterr()
    assert "The LSTM solved both tasks on every seed" in out and error == ""
    assert json.loads((tmp_path / "run" / "results.json").read_text())["version"] == run.results["version"]


def test_a_cell_that_cannot_be_trained_is_refused_and_nothing_written(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(demo, "RECIPES", {"digits": TINY})
    own = own_cell(tmp_path, "import multiprocessing\nif multiprocessing.parent_process(): raise ValueError('no luck')")
    assert main(["demo", "--out", str(tmp_path / "run"), "--cell", own, "--workers", "1"]) == 2
    error = capfd.readouterr().err
    assert "a run failed, and nothing was written: digits, Own, seed 0: ValueError: no luck" in error
    assert not (tmp_path / "run").exists()


def test_ctrl_c_ends_in_one_sentence_and_leaves_nothing(tmp_path):
    """As a terminal does it: the signal goes to the whole group."""
    job = subprocess.Popen(
        [sys.executable, "-m", "headgate", "demo", "--out", str(tmp_path / "run"), "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while _descendants(job.pid) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)
    os.killpg(job.pid, signal.SIGINT)
    out, error = job.communicate(timeout=60)
    assert job.returncode == 130
    assert error.strip() == "headgate demo: stopped; nothing was written." and out == ""
    assert list(tmp_path.iterdir()) == []
    while _descendants(job.pid) and time.monotonic() < deadline:  # multiprocessing's own helper takes a moment
        time.sleep(0.1)
    assert _descendants(job.pid) == 0


def _descendants(parent: int) -> int:
    """Processes whose session is that of `parent`, itself aside; 0 for a system without /proc."""
    found = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found += fields[3] == str(parent) and stat.parent.name != str(parent)
    return found
