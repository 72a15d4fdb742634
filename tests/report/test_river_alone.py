"""One sequence, or an earlier loss, by itself in the unrolled picture: what was measured of it, and its control."""

from __future__ import annotations

import numpy as np
import pytest
from report import made_up_river as made_up
from report import made_up_watch
from report.river_script import run

from headgate.inspection.schema import check
from headgate.report.river import river
from headgate.report.river_data import steps_of
from headgate.report.river_room import BYTES, Room, room_for
from headgate.report.watch_page import write_watch_report

WORDS = "document.querySelector('.river-words').textContent"
HOW = "document.querySelector('.river-how').textContent"
PICTURE = "document.querySelector('.river').river.svg.innerHTML"
STEPS = "document.querySelector('.river').river.steps"
SHOWN = (
    "({norm: steps.arrow_norm, share: steps.arrow_share, total: steps.total, keep: steps.keep, gates: steps.gate_mean,"
    " cancels: steps.cancellation, losses: steps.losses, source: steps.source, reference: steps.reference})"
)


def made(cell: str = "LSTM", **settings):
    record = made_up.record(cell, 60, seed=1, alone=True, **settings)
    check(record.name, record.arrays)
    return record


def turned(steps, kind: str, k: int, change=None):
    return run(f'(steps.turnTo({{ kind: "{kind}", k: {k} }}), {SHOWN})', steps, change)


def numbers(value: object) -> np.ndarray:
    return np.array(value, dtype=object).astype(float)


def agree(found: object, values: np.ndarray, within: float) -> None:
    found = numbers(found)
    assert (np.isfinite(found) == np.isfinite(values)).all()
    assert np.abs(np.nan_to_num(found) - np.nan_to_num(values)).max() <= within


@pytest.mark.parametrize("reverse", (False, True))
@pytest.mark.parametrize("cell", made_up.CELLS)
def test_a_sequence_is_what_was_measured_of_it(cell, reverse):
    record = made(cell, reverse=reverse, every=7)
    turn = -1 if reverse else 1
    steps = steps_of(record)
    own = {name: np.asarray(values, float)[..., ::turn] for name, values in record.arrays.items() if "row_" in name}
    for k in range(3):
        found = turned(steps, "row", k)
        agree(found["total"], own["row_gradient"][k], 0.003)
        agree(found["norm"], own["row_arrow_norm"][k], 0.06)
        there = np.isfinite(own["row_arrow_share"][k])
        assert np.abs(numbers(found["share"])[there] - own["row_arrow_share"][k][there]).max() < 1e-3
        agree(found["losses"], np.flatnonzero(np.isfinite(own["row_local_gradient"][k])), 0)
        # The last of the third lies where that ends: at two thirds, in the order of the input.
        assert found["source"] == np.flatnonzero(np.isfinite(own["row_arrow_norm"][k][-1]))[-1]
        assert found["reference"] == found["total"][found["source"]]
        if record.facts["gates"]:
            agree(found["gates"], own["row_gate_mean"][k], 1e-3)
        if "row_keep_mean" in own:
            agree(found["keep"], np.nan_to_num(np.log10(own["row_keep_mean"][k])), 2e-3)


def test_how_much_cancels_is_that_of_the_sequence():
    record = made()
    parts = 10.0 ** (record.arrays["row_arrow_norm"][1] - record.arrays["row_gradient"][1])
    found = numbers(turned(steps_of(record), "row", 1)["cancels"])
    assert found == pytest.approx(np.nansum(parts, 0), rel=0.13)


def test_an_earlier_loss_is_what_was_measured_of_it():
    record = made()
    steps = steps_of(record)
    for k, source in enumerate((29, 14)):
        found = turned(steps, "earlier", k)
        assert found["source"] == source
        agree(found["total"], record.arrays["earlier_gradient"][k], 0.003)
        agree(found["norm"], record.arrays["earlier_arrow_norm"][k], 0.06)
        assert found["gates"] == run(SHOWN, steps)["gates"]


def test_a_mutant_that_takes_another_sequence_is_seen():
    steps, change = steps_of(made()), ("rows.slice(k * count, (k + 1) * count)", "rows.slice(0, count)")
    right, wrong = (turned(steps, "row", 1, mutant)["share"] for mutant in (None, change))
    assert np.nanmax(np.abs(numbers(right) - numbers(wrong))) > 0.05


def test_everything_together_comes_back():
    steps = steps_of(made(units=True))
    back = run(f'(steps.turnTo({{ kind: "row", k: 0 }}), steps.choose([0]), steps.turnTo(null), {SHOWN})', steps)
    assert back == run(SHOWN, steps)


def test_a_sequence_that_says_nothing_is_left_out():
    record = made()
    record.arrays["row_gradient"][0] = np.nan
    facts = steps_of(record).facts
    assert facts["shown_rows"] == [1, 3] and facts["rows_left_out"] == 0 and len(facts["row_sources"]) == 2


def test_losses_at_several_steps_are_named_by_the_median():
    record = made()
    record.arrays["sources"] = np.array([-1, 29, 20, 12])
    named = "facts.earlier_sources.map((_, k) => steps.lossAt(k))"
    assert run(named, steps_of(made())) == ["step 29", "step 14"]
    assert run(named, steps_of(record)) == ["step 29", "about step 12"]
    assert steps_of(record).facts["ends_differ"] is False
    record.arrays["lengths"] = np.array([60, 0, 60, 40])
    assert steps_of(record).facts["ends_differ"] is True


def test_long_runs_have_room_for_fewer_and_say_so():
    long = made_up.record(steps=10_000, keep=0.97, every=400, units=True, alone=True)
    room = room_for([long])
    assert room == Room(units=1, rows=1, earlier=0)
    assert len(river([long]).encode()) < 1_650_000
    steps = steps_of(long)
    used = sum(np.size(steps.arrays[f"{kind}_share"]) * 3 for kind in ("row", "unit"))
    assert used < BYTES
    said = run("howToRead(steps, state({}))", steps)
    assert "More sequences, single earlier losses are left out of so long a page." in said
    assert "Of 16 sequences 1 can be shown alone." in said
    # Without units there is more for the others, and another layer takes half of it.
    lean = made_up.record(steps=10_000, keep=0.97, alone=True)
    assert room_for([lean]) == Room(0, 1, 1) and room_for([lean, lean]) == Room(0, 0, 1)
    assert room_for([made(units=True)]) == Room(made_up.WIDTH, 3, 2)
    # A picture in the place of another takes from the same room.
    assert room_for([long], [long]) == Room(0, 0, 0)


def test_the_same_records_give_the_same_bytes(tmp_path):
    one, two = (write_watch_report(made(), tmp_path / name).read_bytes() for name in ("a", "b"))
    assert one == two and b'class="river-row"' in one


@pytest.fixture
def page(browser, tmp_path):
    opened = browser.open(write_watch_report([made(units=True), made_up.record("GRU", name="l1")], tmp_path))
    yield opened
    assert opened.errors() == [] and len(opened.requests()) == 1
    opened.close()


def options(page, kind: str) -> list[str]:
    return page.run(f"[...document.querySelector('.river-{kind}').options].map(o => o.textContent)")


def choose(page, kind: str, *keys: str) -> None:
    """As a hand at the keyboard does it."""
    page.run(f"document.querySelector('.river-{kind}').focus()")
    for key in keys:
        page.press(key)


def test_the_controls_name_what_they_offer(page):
    assert options(page, "row") == ["all 16 (median)", "1", "2", "4"]
    assert options(page, "earlier") == ["step 59 (the last)", "step 29", "step 14"]
    labels = "[...document.querySelectorAll('.river-chosen')].map(l => [l.firstChild.data.trim(), !!l.title])"
    assert page.run(labels) == [["units", True], ["sequence", True], ["loss at", True]]
    assert "Of 16 sequences 1, 2, 4 can be shown alone." in page.run(HOW)
    page.click("#tab-r1")  # of this one nothing was measured by itself
    for kind in ("units", "row", "earlier"):
        assert page.run(f"document.querySelector('.river-{kind}').checkVisibility()") is False
    assert "can be shown alone" not in page.run(HOW)


def test_a_sequence_is_drawn_and_said_by_the_keyboard(page):
    before, words = page.run(PICTURE), page.run(WORDS)
    page.click(".river [data-cut=f]")
    choose(page, "row", "ArrowDown", "ArrowDown")
    assert page.run(PICTURE) != before
    assert page.run(WORDS).startswith("Sequence 2, step 55, 4 steps before the loss: ")
    assert "Only sequence 2: its own arrows, gates and losses." in page.run(HOW)
    assert page.run("document.querySelectorAll('.river [data-cut]').length") == 0
    page.run("new Promise(done => setTimeout(done, 450))")
    assert page.run("document.querySelector('.river-spoken').textContent").startswith("Sequence 2, step 55")
    choose(page, "row", "ArrowDown")  # the fourth ends at step 39
    assert page.run(WORDS).startswith("Sequence 4, step 35, 4 steps before the loss: ")
    page.click("label:has(#wording-expert)")
    assert page.run(WORDS).startswith("sequence 4, t = 35, lag 4; ") and "Sequence 4 of 16, all 64" in page.run(HOW)
    page.click("label:has(#wording-plain)")
    choose(page, "row", "Home")
    page.run("document.querySelector('.river').river.moveTo(55)")
    assert page.run(PICTURE) == before and page.run(WORDS) == words


def test_an_earlier_loss_is_drawn_and_said(page):
    choose(page, "earlier", "ArrowDown")
    assert page.run(WORDS).startswith("Step 25, 4 steps before the loss at step 29: ")
    assert "Only the loss at step 29 is followed back, not those of other steps." in page.run(HOW)
    page.run("document.querySelector('.river').river.moveTo(40)")
    assert page.run(WORDS) == "Step 40, after the loss at step 29: no gradient comes here."
    choose(page, "earlier", "Home")
    assert page.run(WORDS).startswith("Step 40, 19 steps before the loss: ")


def test_one_thing_is_shown_by_itself_at_a_time(page):
    values = "['units', 'row', 'earlier'].map(kind => document.querySelector(`.river-${kind}`).value)"
    for kind, expected in (("row", ["", "0", ""]), ("units", ["0,1", "", ""]), ("earlier", ["", "", "0"])):
        choose(page, kind, "ArrowDown")
        assert page.run(values) == expected
        assert page.run(f"[{STEPS}.units !== null, {STEPS}.set !== null]") == [kind == "units", kind != "units"]
    page.click("[data-direction=content]")
    assert page.run(values) == ["", "", ""] and page.run(f"{STEPS}.set") is None
    assert page.run("document.querySelector('.river-row').checkVisibility()") is False
    page.click("[data-direction=gradient]")
    choose(page, "row", "End")
    page.click("#tab-r1")
    page.click("#tab-r0")
    assert page.run(values) == ["", "", ""]


def test_the_pulse_starts_at_the_loss_that_is_followed(page):
    choose(page, "earlier", "End")
    page.run("(p => { p.at = 0.5; p.draw(); })(document.querySelector('.river').river.pulse)")
    assert float(page.run("document.querySelector('.river-picture .overlay .pulse').getAttribute('cx')")) > 0
    choose(page, "earlier", "Home")
    assert page.run("document.querySelector('.river').river.pulse.at") is None


def test_words_of_the_text_are_the_first_sequence_s(browser, tmp_path):
    """Beside another sequence they would be wrong."""
    opened = browser.open(write_watch_report(made_up_watch.record(text=True), tmp_path))
    words = "document.querySelectorAll('.river-picture .token').length"
    assert opened.run(words) > 5
    choose(opened, "row", "ArrowDown")
    assert opened.run(words) > 5
    choose(opened, "row", "End")
    assert opened.run(words) == 0 and opened.errors() == []
    opened.close()
