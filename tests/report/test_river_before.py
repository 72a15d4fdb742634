"""Before and after training in the unrolled picture: one slider turns between two Records of the same layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from report import made_up_river as made_up

from headgate.report.river import river
from headgate.report.river_before import paired
from headgate.report.watch_page import SMALL_BYTES, write_watch_report

VIEW = "document.querySelector('.river').river"
WORDS = "document.querySelector('.river-words').textContent"
HOW = "document.querySelector('.river-how').textContent"
TIME = "document.querySelector('.river-time')"
PICTURE = f"{VIEW}.svg.innerHTML"


def layer(name: str = "l0", cell: str = "LSTM", **settings):
    return made_up.record(cell, settings.pop("steps", 60), name=name, **settings)


def now():
    return [layer(keep=0.95, alone=True, units=True), layer("l1", "GRU", keep=0.9)]


def was():
    return [layer("l1", "GRU", seed=5, keep=0.4), layer(seed=4, keep=0.6, alone=True, units=True)]


def test_they_are_paired_by_name():
    assert [record.name for record in paired(now(), was())] == ["l0", "l1"]
    assert paired(now(), []) == []


REFUSED = {
    r"before holds 'l1', but the records are 'l0', 'l1'; give the same layers": lambda: was()[:1],
    r"before holds 'l1', 'l1', but .* each once": lambda: was()[:1] * 2,
    r"before holds 'l2', 'l1', but the records are 'l0', 'l1'": lambda: [layer("l2"), was()[0]],
    r"l0 has steps 40 before, but 60 now; give Records of the same model": lambda: [was()[0], layer(steps=40)],
    r"l0 has units 32 before, but 64 now": lambda: [was()[0], layer(hidden_size=32)],
    r"l0 has cell GRU before, but LSTM now": lambda: [was()[0], layer(cell="GRU")],
    r"l1 has reverse True before, but None now": lambda: [layer("l1", "GRU", reverse=True), was()[1]],
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_does_not_match_is_refused(said, tmp_path):
    with pytest.raises(ValueError, match=f"^write_watch_report: .*{said}"):
        write_watch_report(now(), tmp_path, before=REFUSED[said]())
    assert not list(tmp_path.iterdir())


def test_records_before_without_arrows_are_refused(tmp_path):
    silent = was()
    silent[1].arrays["gradient_norm"] = np.full(60, np.nan)
    with pytest.raises(ValueError, match="before training, l0: the unrolled picture needs a gradient, but none"):
        write_watch_report(now(), tmp_path, before=silent)
    # A layer that is not drawn now needs none before either.
    both = now()
    both[0].arrays["gradient_norm"] = np.full(60, np.nan)
    assert write_watch_report(both, tmp_path, before=silent).is_file()


def test_without_it_there_is_no_slider_and_the_same_records_give_the_same_bytes(tmp_path):
    """Given as a folder as well as in Python."""
    folder = tmp_path / "before"
    for record in was():
        record.save(folder / record.name)
    pages = [write_watch_report(now(), tmp_path / f"{k}.html", before=b) for k, b in enumerate((was(), folder, None))]
    one, two, none = (page.read_text() for page in pages)
    assert one == two and 'class="river-time"' in one and 'class="river-time"' not in none


def test_two_long_runs_stay_small():
    long = made_up.record(steps=10_000, keep=0.97, every=400, units=True, alone=True)
    assert len(river([long], [replace(long)]).encode()) < 1_750_000 < SMALL_BYTES


@pytest.fixture
def page(browser, tmp_path):
    opened = browser.open(write_watch_report(now(), tmp_path, before=was()))
    yield opened
    assert opened.errors() == [] and len(opened.requests()) == 1
    opened.close()


def turn(page, key: str) -> None:
    """As a hand at the keyboard does it."""
    page.run(f"{TIME}.focus()")
    page.press(key)


def drawn_alone(browser, tmp_path, record, focus: int) -> str:
    """The picture of a Record that is on a page by itself."""
    opened = browser.open(write_watch_report(record, tmp_path / "alone.html"))
    opened.run(f"{VIEW}.moveTo({focus})")
    picture = opened.run(PICTURE)
    opened.close()
    return picture


def test_the_slider_turns_arrows_gates_and_pipes(page, browser, tmp_path):
    after, words = page.run(PICTURE), page.run(WORDS)
    assert words.startswith("After training, step 55, 4 steps before the loss: ")
    turn(page, "ArrowLeft")
    assert page.run(WORDS).startswith("Before training, step 55, 4 steps before the loss: ")
    assert page.run(f"{TIME}.getAttribute('aria-valuetext')") == "before training"
    before = page.run(PICTURE)
    assert before != after and before == drawn_alone(browser, tmp_path, was()[1], 55)
    assert after == drawn_alone(browser, tmp_path, now()[0], 55)
    turn(page, "ArrowRight")
    assert page.run(PICTURE) == after and page.run(WORDS) == words
    assert page.run(f"{TIME}.getAttribute('aria-valuetext')") == "after training"


def test_the_strip_keeps_its_scale_and_shows_the_other_time(page):
    ends = f"[{VIEW}.scale.low, {VIEW}.scale.high]"
    curve = "document.querySelector('.river-map .curve.{}').getAttribute('d')"
    after, own, other = page.run(ends), page.run(curve.format("total")), page.run(curve.format("other"))
    assert "The dashed line in the strip is the gradient before training." in page.run(HOW)
    turn(page, "Home")
    assert page.run(ends) == after
    assert [page.run(curve.format(kind)) for kind in ("other", "total")] == [own, other] != [other, own]
    assert "The dashed line in the strip is the gradient after training." in page.run(HOW)


def test_what_was_chosen_stays_where_it_is_there(page):
    values = f"[{VIEW}.state.focus, {VIEW}.state.cut, {VIEW}.steps.set?.kind ?? null]"
    page.run(f"{VIEW}.moveTo(30)")
    page.click(".river [data-cut=f]")
    turn(page, "Home")
    assert page.run(values) == [30, "f", None]
    page.run("document.querySelector('.river-row').focus()")
    page.press("ArrowDown")
    turn(page, "End")
    assert page.run(values) == [30, None, "row"] and "After training, sequence 1, step 30" in page.run(WORDS)
    page.run("document.querySelector('.river-units').focus()")
    page.press("ArrowDown")
    turn(page, "Home")  # other units were the strongest then
    assert page.run(f"{VIEW}.steps.units") is None and page.run(values) == [30, None, None]
    page.click("label:has(#wording-expert)")
    assert page.run(WORDS).startswith("before training, t = 30, lag 29; ")


def test_other_layers_and_content_turn_too(page):
    turn(page, "Home")
    page.click("#tab-r1")
    assert page.run(WORDS).startswith("Before training, step 55") and page.run(f"{VIEW}.steps.facts.cell") == "GRU"
    page.click("[data-direction=content]")
    before = page.run(PICTURE)
    turn(page, "End")
    assert page.run(f"{VIEW}.state.direction") == "content" and page.run(PICTURE) != before
    assert page.run("document.querySelectorAll('.inflow').length") > 0
