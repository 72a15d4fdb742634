"""Rows through the suite: in processes of their own, kept one by one, resumed, and left out with a reason."""

from __future__ import annotations

import json
import os
import sys

import pytest

from benchmarks import results, suite
from benchmarks.peers import names
from benchmarks.workloads import all_workloads
from headgate import engines

ROW = "lstm-forward-128x1x128"


def run(pairs, kept, execute) -> list[str]:
    said: list[str] = []
    suite.run_all(pairs, kept, said.append, execute)
    return said


def test_every_workload_is_beside_known_peers_for_a_reason():
    assert all(set(workload.beside) <= set(names()) for workload in all_workloads().values())
    assert all(workload.beside and workload.reason for workload in all_workloads().values())
    assert set(names()) == {peer for workload in all_workloads().values() for peer in workload.beside}


def test_a_quick_row_in_processes_of_its_own(tmp_path):
    """First calls of both, the comparison, the table, the figure: all of it, beside torch.nn."""
    kept = results.Kept(tmp_path, results.circumstances(1, True))
    said = run(suite.chosen([ROW], ["torch_nn"]), kept, suite.in_process)
    row = kept.row(ROW, "torch_nn")
    assert row["status"] == "timed", row
    assert row["first_s_ours"] > 0 and row["first_s_peer"] > 0
    assert len(said) == 1 and said[0].startswith("1 of 1: LSTM fp32 H=128 B=1 T=16 forward beside torch.nn: ")
    assert "**A quick run" in (tmp_path / suite.TABLE).read_text()
    assert (tmp_path / suite.FIGURE).read_text().startswith("<svg")
    assert sorted(os.listdir(tmp_path)) == ["bench.svg", "rows.jsonl", "table.md"]


def test_a_process_that_dies_costs_one_row():
    """It is killed here by having no workload of that name, before it can answer."""
    found = suite.in_process({"workload": "none", "peer": "torch_nn", "threads": 1, "quick": True, "first": False}, ".")
    assert found["status"] == "failed" and "ended with 1: KeyError" in found["reason"]


def test_a_process_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(suite, "LONGEST_S", 0.0)
    found = suite.in_process({"workload": ROW, "peer": "torch_nn", "threads": 1, "quick": True, "first": False}, ".")
    assert found["status"] == "failed" and "took more than" in found["reason"]


def test_a_run_that_was_stopped_goes_on(kept, execute):
    """What is on disk is not run again, and a line that was cut short is."""
    pairs = suite.chosen(["gru-*"], ["torch_nn"])
    run(pairs[:2], kept, execute)
    asked = len(execute.tasks)
    text = kept.path.read_text()
    kept.path.write_text(text[: -len(text.splitlines()[-1]) // 2])
    again = results.Kept(kept.folder, kept.current)
    run(pairs, again, execute)
    _, cut_short, *others = (workload.name for workload, _ in pairs)
    assert [name for name in (cut_short, *others) for _ in range(3)] == [t["workload"] for t in execute.tasks[asked:]]
    assert len(results.Kept(kept.folder, kept.current).rows(all_workloads())) == len(pairs)


def test_other_code_machines_and_threads_are_measured_anew(kept, execute):
    pairs = suite.chosen([ROW], ["torch_nn"])
    run(pairs, kept, execute)
    for change in ({"code": "other"}, {"machine": "other"}, {"threads": 2}, {"quick": True}, {"torch": "3"}):
        other = results.Kept(kept.folder, kept.current | change)
        assert other.rows(all_workloads()) == []
    assert not kept.done(ROW, "torch_nn", "another version")
    kept.forget(ROW, "torch_nn")
    asked = len(execute.tasks)
    run(pairs, kept, execute)
    assert len(execute.tasks) > asked


def test_the_code_that_figures_depend_on(tmp_path):
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "run.cpp").write_text("1")
    before = results.fingerprint(tmp_path)
    (tmp_path / "README.md").write_text("words")
    assert results.fingerprint(tmp_path) == before
    (tmp_path / "csrc" / "run.cpp").write_text("2")
    assert results.fingerprint(tmp_path) != before


def test_what_failed_is_tried_again_and_what_differs_is_not(kept):
    pairs = suite.chosen([ROW], ["torch_nn"])
    for status, times in (("failed", 2), ("refused", 1)):
        kept.forget(ROW, "torch_nn")
        asked = []

        def broken(task, caches, status=status, asked=asked):
            asked.append(task)
            return {"status": status, "reason": "output differs"}

        said = [line for _ in range(2) for line in run(pairs, kept, broken)]
        assert len(asked) == times
        assert said[-1].endswith(f"beside torch.nn: {status}, output differs")


def test_a_missing_peer_is_a_row_that_says_what_to_install(kept, execute, monkeypatch):
    for name in ("onnxruntime", "benchmarks.peers.onnxruntime"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    said = run(suite.chosen([ROW], ["onnxruntime"]), kept, execute)
    words = "onnxruntime is not installed: pip install 'headgate[bench]'"
    assert execute.tasks == [] and said[0].endswith(f"skipped, {words}")
    assert words in (kept.folder / suite.TABLE).read_text()


def test_a_row_says_why_ours_cannot_be_run(kept, execute, monkeypatch):
    """Beside the eager loop there is nothing to measure where the eager engine is all that we have."""
    monkeypatch.setattr(engines, "choose", lambda request, engine=None: "eager")
    monkeypatch.setattr(engines, "refusal", lambda name, request: "it knows no means")
    said = run(suite.chosen(["layer_norm*"], ["eager"]), kept, execute)
    assert said[0].endswith("beside eager loop: skipped, the compiled engine does not run this (it knows no means)")


@pytest.mark.parametrize(
    ("patterns", "peers", "words"),
    (
        (["lstm-fourward*"], [], "no workload named 'lstm-fourward*'"),
        ([], ["torchnn"], "no peer named 'torchnn'; known: eager, jax"),
        (["lstm-step*"], ["jax"], "none of these workloads is run beside jax"),
    ),
)
def test_unknown_names_are_refused(patterns, peers, words):
    with pytest.raises(suite.Unknown) as error:
        suite.chosen(patterns, peers)
    assert words in str(error.value)


def test_patterns():
    everything = [workload.name for workload, _ in suite.chosen([], [])]
    grid = [workload.name for workload, _ in suite.chosen(["grid-*"], [])]
    rest = [workload.name for workload, _ in suite.chosen(["!grid-*"], [])]
    assert rest + grid == everything and not any(name.startswith("grid") for name in rest)
    assert {peer for _, peer in suite.chosen(["lstm-*"], ["jax"])} == {"jax"}
    assert {peer for _, peer in suite.chosen(["own_cell*"], ["!torch_compile"])} == {"eager", "torchrecurrent"}


def test_rows_are_lines_of_json(kept, execute):
    run(suite.chosen(["gru-both*"], ["torch_nn"]), kept, execute)
    rows = [json.loads(line) for line in kept.path.read_text().splitlines()]
    assert [row["workload"] for row in rows] == ["gru-both-128x1x256", "gru-both-256x32x128"]
    assert all(row["threads"] == 1 and row["code"] == kept.current["code"] for row in rows)
