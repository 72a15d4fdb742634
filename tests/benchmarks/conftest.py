"""What the tests of the benchmarks share: made-up results of tasks, and rows made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks import results, suite

ERRORS = {"output": 4e-7, "d_x": 6e-7}


def answer(task: dict[str, Any], ratio: float = 2.0) -> dict[str, Any]:
    """What a process answers to a task, made up."""
    if task["first"]:
        return {"status": "timed", "first_s": 0.25, "memory_bytes": 3_000_000}
    return {
        "status": "timed",
        "engine": "cpu",
        "peer_engine": "",
        "deviation": ERRORS,
        "error_ours": ERRORS,
        "error_peer": ERRORS,
        "load": 0.25,
        "limit_s": 0.005,
        "limit_flops": 3e11,
        "limit_bytes": 2e10,
        "ours_s": 0.010,
        "peer_s": 0.010 * ratio,
        "turns": [[0.010], [0.010 * ratio]],
        "ratio": ratio,
    }


@pytest.fixture
def execute() -> Callable[..., dict]:
    """In the place of a process: made-up times at once; `execute.tasks` is what was asked."""

    def run(task: dict[str, Any], caches: str) -> dict[str, Any]:
        run.tasks.append(task)
        return answer(task, run.ratios.get((task["workload"], task["peer"]), 2.0))

    run.tasks, run.ratios = [], {}
    return run


@pytest.fixture
def kept(tmp_path) -> results.Kept:
    """An empty folder for rows of a real (not a quick) run on one thread."""
    return results.Kept(tmp_path / "results", results.circumstances(1, False))


@pytest.fixture
def made(kept, execute) -> Callable[..., list[dict]]:
    """Rows of some workloads and peers, made up, with these ratios by (workload, peer)."""

    def rows(patterns: list[str], ratios: dict[tuple[str, str], float] | None = None) -> list[dict]:
        execute.ratios |= ratios or {}
        suite.run_all(suite.chosen(patterns, ["torch_nn", "eager"]), kept, lambda line: None, execute)
        return kept.rows(suite.workloads_of(kept))

    return rows
