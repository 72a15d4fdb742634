"""A cell of the ablation matrix in a real browser: by hand and by keys, what it did to each sequence."""

from __future__ import annotations

import pytest
from report import made_up_watch as made

from headgate.report.watch_page import write_watch_report

FIGURE = "document.querySelector('#r0-ablation')"
PLACE = f"{FIGURE}.querySelector('.sequences')"
SAID = f"{PLACE}.querySelector('p').textContent"
PRESSED = f"[...{FIGURE}.querySelectorAll('[aria-pressed=true]')].map(e => e.dataset.cell)"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    records = [made.record(name="a.l0"), made.record(name="b.l0", seed=1)]
    del records[1].arrays["ablation_rows"]
    return write_watch_report(records, tmp_path_factory.mktemp("rows"))


@pytest.fixture
def page(browser, path):
    opened = browser.open(path)
    yield opened
    assert opened.errors() == []
    opened.close()


def test_a_click_draws_every_sequence_and_a_second_one_takes_it_away(page):
    assert page.run(f"{PLACE}.hidden") is True
    page.click("#r0-ablation .hit[data-cell='1-2']")
    assert page.run(PRESSED) == ["1-2"] and page.run(f"{PLACE}.hidden") is False
    assert page.run(f"{PLACE}.querySelector('h5').textContent") == "f, shuffle rows: sequence by sequence"
    assert page.run(f"{PLACE}.querySelectorAll('circle').length") == 15
    mean = made.record().arrays["ablation"][1, 2, 1]
    said = page.run(SAID)
    assert said.startswith("1 of 15 sequences lose by it; the mean is ") and "make up 100 % (13 %" in said
    assert float(said.split("mean is ")[1].split(",")[0]) == pytest.approx(mean, rel=0.01)
    page.click("#r0-ablation .hit[data-cell='0-0']")
    assert page.run(PRESSED) == ["0-0"]
    page.click("#r0-ablation .hit[data-cell='0-0']")
    assert page.run(PRESSED) == [] and page.run(f"{PLACE}.hidden") is True


def test_arrow_keys_go_through_the_cells(page):
    page.run(f"{FIGURE}.querySelector('.hit[tabindex=\"0\"]').focus()")
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowLeft", "ArrowLeft"):
        page.press(key)
    assert page.run("document.activeElement.dataset.cell") == "2-0"  # there is nothing further left
    assert page.run(f"[...{FIGURE}.querySelectorAll('.hit')].filter(e => e.tabIndex === 0).length") == 1
    page.press("Enter")
    assert page.run(PRESSED) == ["2-0"]
    page.press("ArrowUp")
    page.press(" ")
    assert page.run(PRESSED) == ["1-0"]
    page.press("Escape")
    assert page.run(PRESSED) == [] and page.run(f"{PLACE}.hidden") is True


def test_sequences_are_there_as_numbers(page):
    page.click("#r0-ablation .hit[data-cell='3-4']")
    rows = page.run(f"[...{PLACE}.querySelectorAll('tr')].map(r => [...r.cells].map(c => c.textContent))")
    worst = made.record().arrays["ablation_rows"][3, 4, 15]
    assert rows[0] == ["sequence", "change"] and len(rows) == 16
    assert rows[-1][0] == "15" and float(rows[-1][1]) == pytest.approx(worst, rel=0.01)
    assert page.run(f"{PLACE}.querySelector('circle:last-of-type title').textContent").startswith("sequence 15: ")


def test_cells_that_say_it_are_buttons_and_others_are_not(page):
    assert page.run(f"{FIGURE}.querySelectorAll('[role=button]').length") == 4 * len(made.KINDS)
    assert page.run(f"{FIGURE}.querySelector('.choose-cell').checkVisibility()") is True
    page.click("#tab-r1")
    other = "document.querySelector('#r1-ablation')"
    assert page.run(f"{other}.querySelectorAll('[role=button], .choose-cell').length") == 0
    page.click("#r1-ablation .hit[data-cell='1-2']")
    assert page.run("document.querySelectorAll('#r1-ablation .sequences').length") == 0


def test_a_mutant_that_shows_another_cell_is_seen(browser, path, tmp_path):
    """The same page with two cells' numbers exchanged says another mean."""
    text = path.read_text()
    broken = text.replace('"1-2":', '"x":', 1).replace('"1-3":', '"1-2":', 1).replace('"x":', '"1-3":', 1)
    assert broken != text
    (tmp_path / "broken.html").write_text(broken)
    page = browser.open(tmp_path / "broken.html")
    page.click("#r0-ablation .hit[data-cell='1-2']")
    mean = made.record().arrays["ablation"][1, 2, 1]
    assert float(page.run(SAID).split("mean is ")[1].split(",")[0]) != pytest.approx(mean, rel=0.01)
    page.close()
