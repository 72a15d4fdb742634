"""Units in the unrolled picture: all of them together are the whole memory, and one shows its own part."""

from __future__ import annotations

import numpy as np
import pytest
from report import made_up_river as made_up
from report import made_up_watch
from report.river_script import run

from headgate.inspection.schema import check
from headgate.report.river import river
from headgate.report.river_data import packed, steps_of
from headgate.report.river_room import Room, room_for
from headgate.report.watch_page import write_watch_report

EVERY = "[...facts.top_units.keys()]"
SHOWN = "({norm: steps.arrow_norm, share: steps.arrow_share, total: steps.total, part: steps.part, keep: steps.keep})"
SELECT = "document.querySelector('.river-units')"
WORDS = "document.querySelector('.river-words').textContent"


def chosen(units: str) -> str:
    return f"(steps.choose({units}), {SHOWN})"


def numbers(value: object) -> np.ndarray:
    return np.array(value, dtype=object).astype(float)


def made(cell: str = "LSTM", **settings):
    record = made_up.record(cell, 61, seed=1, units=True, **settings)
    check(record.name, record.arrays)
    return record


@pytest.mark.parametrize("cell", made_up.CELLS)
def test_all_units_together_are_the_whole_memory(cell):
    steps = steps_of(made(cell))
    found = run(chosen(EVERY), steps)
    there = np.isfinite(steps.arrays["arrow_norm"])
    assert np.abs(numbers(found["norm"])[there] - steps.arrays["arrow_norm"][there]).max() < 0.08
    assert np.abs(numbers(found["share"])[there] - steps.arrays["arrow_share"][there]).max() < 0.02
    assert np.abs(numbers(found["total"]) - steps.arrays["gradient_norm"]).max() < 0.01
    assert numbers(found["part"]) == pytest.approx(1.0, abs=0.01)
    if "keep" in steps.arrays:
        assert numbers(found["keep"]) == pytest.approx(steps.arrays["keep"], abs=1e-3)


def test_a_mutant_that_adds_norms_is_seen():
    steps = steps_of(made())
    change = ("10 ** (2 * log) : 0), 0)) / 2;", "10 ** log : 0), 0));")
    found = run(chosen(EVERY), steps, change)
    assert np.abs(numbers(found["total"]) - steps.arrays["gradient_norm"]).max() > 0.1


@pytest.mark.parametrize("reverse", (False, True))
def test_one_unit_is_itself(reverse):
    record = made(reverse=reverse)
    found = run(chosen("[1]"), steps_of(record))
    turn = -1 if reverse else 1
    own, share = (record.arrays[name][1, ..., ::turn] for name in ("unit_gradient", "unit_arrow_share"))
    assert numbers(found["total"]) == pytest.approx(own, abs=0.01)
    assert numbers(found["part"]) == pytest.approx(share.sum(0), abs=2e-3)
    # Shares are of the unit's own part, and make up all of it.
    assert np.nansum(numbers(found["share"]), 0) == pytest.approx(1.0, abs=1e-5)
    assert numbers(found["keep"]) == pytest.approx(np.log10(record.arrays["unit_keep"][1, ::turn]), abs=1e-3)


def test_the_whole_comes_back():
    steps = steps_of(made())
    assert run(f"(steps.choose([0]), steps.choose(null), {SHOWN})", steps) == run(SHOWN, steps)


def test_long_runs_show_fewer_units_and_stay_small():
    record = made_up.record(steps=10_000, keep=0.97, every=400, units=True)
    assert len(steps_of(record).facts["top_units"]) == 2
    assert len(steps_of(made()).facts["top_units"]) == made_up.WIDTH == room_for([made(), made("GRU")]).units
    assert len(river([record]).encode()) < 1_600_000
    # A short record beside a long one has no more units, and of four long ones there is no room for any.
    assert room_for([record, made()]).units == 2 and room_for([record] * 4).units == 0
    facts, _ = packed(steps_of(record, Room(0, 0, 0)))
    assert not any(name.startswith("unit") for name in facts["arrays"]) and facts["units_left_out"] is True
    assert "left out of so long a page" in run("howToRead(steps, state({}))", steps_of(record, Room(0, 0, 0)))
    assert "left out" not in run("howToRead(steps, state({}))", steps_of(made_up.record()))


@pytest.fixture
def page(browser, tmp_path):
    opened = browser.open(write_watch_report(made_up_watch.records(), tmp_path))
    yield opened
    assert opened.errors() == []
    opened.close()


def choose(page, value: str) -> None:
    """As a hand at the keyboard does it."""
    page.run(f"{SELECT}.focus()")
    page.run(f"(e => {{ e.value = '{value}'; e.dispatchEvent(new Event('change', {{bubbles: true}})); }})({SELECT})")


def test_the_control_lists_units_by_their_part(page):
    options = page.run(f"[...{SELECT}.options].map(o => o.textContent)")
    first, second = made_up_watch.records()[0].arrays["top_units"]
    assert options == ["all 24", "strongest 2 (90 %)", f"unit {first} (60 %)", f"unit {second} (30 %)"]


def test_a_unit_is_shown_by_itself_and_the_whole_comes_back(page):
    first = made_up_watch.records()[0].arrays["top_units"][0]
    before = page.run(WORDS)
    cuts = "document.querySelectorAll('.river [data-cut]').length"
    assert page.run(cuts) == 5
    page.click(".river [data-cut=f]")
    choose(page, "0")
    said = page.run(WORDS)
    assert f"is left in unit {first}, 60 % of what there is at this step" in said
    assert "100 % of that came along the highway" in said and "Its own forget gate f" in said
    assert page.run(cuts) == 0 and page.run("document.querySelector('.river').river.state.cut") is None
    assert f"Only unit {first}:" in page.run("document.querySelector('.river-how').textContent")
    page.click("label:has(#wording-expert)")
    assert f"unit {first}: +0.60 of |∂" in page.run(WORDS)
    page.click("label:has(#wording-plain)")
    choose(page, "")
    assert page.run(WORDS) == before and page.run(cuts) == 5


def test_content_and_other_layers_are_of_all_units(page):
    choose(page, "0,1")
    assert page.run("document.querySelector('.river').river.steps.units.length") == 2
    page.click("[data-direction=content]")
    assert page.run(f"{SELECT}.checkVisibility()") is False
    assert page.run("document.querySelector('.river').river.steps.units") is None
    page.click("[data-direction=gradient]")
    choose(page, "1")
    page.click("#tab-r2")  # no gates, no units that were measured
    assert page.run(f"{SELECT}.checkVisibility()") is False
    page.click("#tab-r0")
    assert page.run(f"{SELECT}.value") == ""
