"""The table, the figure and the README's part, from made-up rows: a loss is printed as a loss."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from benchmarks import readme, suite
from benchmarks.figure import figure
from benchmarks.table import COLUMNS, error_share, table
from benchmarks.workloads import FORWARD, GRID_B, GRID_H, all_workloads

LOSS = ("lstm-both-256x32x128", "torch_nn")


@pytest.fixture
def rows(made):
    return made(["lstm-both-*", "gru-*", "cifg*", "grid-*-64x*"], {LOSS: 0.8, ("grid-forward-64x1", "torch_nn"): 0.5})


@pytest.fixture
def known(kept):
    return suite.workloads_of(kept)


def lines_of(text: str, words: str) -> list[list[str]]:
    found = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith(f"| {words}")]
    assert found, f"no line for {words}"
    return found


def test_a_loss_is_printed_as_a_loss(rows, known):
    text = table(rows, known)
    (cells,) = lines_of(text, "LSTM fp32 H=256 B=32 T=128 forward + backward")
    shown = dict(zip(COLUMNS, cells, strict=True))
    assert shown["times as fast"] == "0.80 (loss)" and shown["goal"] == "1.3, missed; aim 1.6"
    assert shown["ours, ms"] == "10.00" and shown["peer, ms"] == "8.00" and shown["of the limit"] == "50 %"
    assert shown["error, ours"] == "6.0e-07 (d_x)" and shown["first call, s: ours / peer"] == "0.25 / 0.25"
    assert shown["peak memory, MB: ours / peer"] == "3.0 / 3.0"
    (cells,) = lines_of(text, "GRU fp32 H=256 B=32")
    assert dict(zip(COLUMNS, cells, strict=True))["goal"] == "1.3, held; aim 1.6"
    assert f"{len(rows)} comparisons: {len(rows) - 2} wins, 2 losses." in text
    assert all(f"- **{name}**" in text for name in ("of the limit", "error", "first call", "peak memory"))


def test_the_grid_shows_the_fastest_peer(rows, known):
    text = table(rows, known)
    forward, both = lines_of(text, "H=64")
    assert forward[1] == "0.50 (loss), torch.nn" and both[1] == "2.00, torch.nn"


def test_a_result_less_accurate_than_allowed_is_marked(rows, known):
    row = next(row for row in rows if (row["workload"], row["peer"]) == LOSS)
    assert error_share(row, known[LOSS[0]]) == pytest.approx(1.0)
    row["error_ours"] = {"output": 4e-7, "d_x": 3e-6}
    assert error_share(row, known[LOSS[0]]) == pytest.approx(5.0)
    text = table(rows, known)
    assert "3.0e-06 (d_x), 5.0 times torch's" in text
    assert re.search(r"float32 errors within 4 times torch.nn's: (\d+) of (?!\1)\d+ \(at most 5.0 times\)", text)


def test_what_was_left_out_is_there_with_its_reason(rows, known):
    for row in rows:
        if row["workload"] in (LOSS[0], "grid-forward-64x1"):
            row |= {"status": "refused", "reason": "output differs by 1.0e-02"}
    text = table(rows, known)
    assert "refused: output differs by 1.0e-02" in lines_of(text, "LSTM fp32 H=256 B=32")[0]
    assert "- torch.nn, refused: output differs by 1.0e-02 (grid-forward-64x1)" in text


def test_the_figure_shows_every_row(rows, known):
    text = figure(rows, known)
    drawn = ElementTree.fromstring(text)
    words = [element.text for element in drawn.iter() if element.text]
    assert "0.80" in words and "2.00" in words and "0.50" in words
    assert "2 losses" in drawn.get("aria-label")
    classes = [element.get("class") for element in drawn.iter()]
    single = [row for row in rows if not known[row["workload"]].grid]
    assert classes.count("lost") == 1 and classes.count("win") == len(single) - 1
    places = sum(known[row["workload"]].grid for row in rows)
    assert len([f for f in (e.get("style") or "" for e in drawn.iter()) if "opacity" in f]) == places


def test_an_empty_run_has_a_table_and_a_figure(known):
    assert table([], known) == "Nothing was measured.\n"
    assert "0 comparisons" in figure([], known)


def test_the_readme_is_rewritten_between_its_markers(rows, known):
    old = f"# headgate\n\nbefore\n\n{readme.BEGIN}\nold figures\n{readme.END}\n\nafter\n"
    new = readme.with_summary(old, rows, known)
    assert new.startswith("# headgate\n\nbefore\n\n") and new.endswith("\n\nafter\n") and "old figures" not in new
    assert "| LSTM fp32 H=256 B=32 T=128 forward + backward | torch.nn | 10.00 | 8.00 | 0.80 (loss) |" in new
    assert "fastest of all peers at 8 sizes: 7 wins, 1 losses, from 0.50 to 2.00 times as fast" in new
    assert readme.with_summary(new, rows, known) == new


@pytest.mark.parametrize(
    "text", ("no markers", readme.BEGIN, f"{readme.END}{readme.BEGIN}", readme.BEGIN + readme.END * 2)
)
def test_a_readme_without_its_markers_is_refused(text, rows, known):
    with pytest.raises(ValueError, match="once each"):
        readme.with_summary(text, rows, known)


def test_places_of_the_grid():
    names = {f"grid-{mode}-{H}x{B}" for mode in (FORWARD, "both") for H in GRID_H for B in GRID_B}
    assert {name for name, workload in all_workloads().items() if workload.grid} == names
