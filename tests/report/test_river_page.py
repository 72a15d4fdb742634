"""The unrolled picture in a real browser: every control does what it says, and ten thousand steps follow the hand."""

from __future__ import annotations

import pytest
from report import made_up_river as made_up

from headgate.report.hues import variables
from headgate.report.river import river

LONGER = 6
VIEW = "document.querySelector('.river').river"
WORDS = "document.querySelector('.river-words').textContent"
FOCUS = f"{VIEW}.state.focus"


def page_of(records, attributes: str = "") -> str:
    style = f"<style>{variables()} body {{ background: var(--paper); color: var(--ink); }}</style>"
    head = f'<!DOCTYPE html><html lang="en" {attributes}><meta charset="utf-8">{style}<title>t</title>'
    return f"{head}{river(records)}</html>"


@pytest.fixture(scope="module")
def open_page(browser, tmp_path_factory):
    """Opens records in a tab; at the end nothing was complained of and nothing asked for but the file."""
    pages = []

    def opened(records, attributes: str = "", **size):
        path = tmp_path_factory.mktemp("river") / "page.html"
        path.write_text(page_of(records, attributes), encoding="utf-8")
        pages.append(browser.open(path, **size))
        return pages[-1]

    yield opened
    for page in pages:
        assert page.errors() == [] and len(page.requests()) == 1
        page.close()


@pytest.fixture
def page(open_page):
    return open_page([made_up.record("LSTM", 60, keep=0.9), made_up.record("GRU", 200, name="l1", keep=0.8)])


@pytest.fixture(scope="module")
def long_page(open_page):
    return open_page([made_up.record("LSTM", 10_000, keep=0.97, every=400)])


def count(page, selector: str) -> int:
    return page.run(f"document.querySelectorAll({selector!r}).length")


def test_it_draws_cells_bundles_and_dams(page):
    assert page.run(FOCUS) == 55 and count(page, ".river-picture .cell") == 9
    assert count(page, ".river-picture .dam.many") == 5 and count(page, ".river-picture *") < 2000
    assert page.run(WORDS).startswith("Step 55, 4 steps before the loss")


def test_keys_move_the_focus_and_choose_paths(page):
    page.run("document.querySelector('.river-map').focus()")
    steps = {"ArrowLeft": 54, "ArrowRight": 55, "PageUp": 45, "PageDown": 55, "Home": 0, "End": 59}
    for key, step in steps.items():
        page.press(key)
        assert page.run(FOCUS) == step, key
    assert page.run("document.querySelector('.river-map').getAttribute('aria-valuenow')") == "59"
    page.press("ArrowLeft")
    page.press("ArrowDown")
    label = "document.querySelector('.river-label')"
    assert page.run(f"{label}.hidden") is False and "highway" in page.run(f"{label}.textContent")
    page.press("ArrowDown")
    assert count(page, ".way.chosen") == 1 and "forget gate f" in page.run(f"{label}.textContent")
    assert "forget gate f" in page.run("document.querySelector('.river-spoken').textContent")
    page.press("Escape")
    assert page.run(f"{label}.hidden") is True


def test_a_bundle_is_opened_by_a_click_and_the_strip_is_scrubbed(page):
    page.click(".river-picture .target[data-from='0']")
    assert page.run(FOCUS) == 10
    place = "document.querySelector('.river-map').getBoundingClientRect()"
    x, y, width = page.run(f"(r => [r.x, r.y + r.height / 2, r.width])({place})")
    page.click_at(x + 0.75 * width, y)
    middle = page.run(FOCUS)
    assert 38 <= middle <= 46
    page.click_at(x + width - 12, y)
    assert page.run(FOCUS) == 59


def test_a_cut_redraws_arrows_and_strip(page):
    uncut = page.run(f"{VIEW}.svg.innerHTML")
    page.click("[data-cut='highway']")
    assert page.run("document.querySelector('[data-cut=highway]').getAttribute('aria-pressed')") == "true"
    assert count(page, ".way[data-path='highway']") == 0 and count(page, ".river-map .knocked") == 1
    assert "with the highway cut" in page.run(WORDS)
    page.click("[data-cut='g']")
    assert count(page, ".way[data-path='highway']") > 0 and count(page, ".way[data-path='g']") == 0
    page.click("[data-cut='g']")
    assert page.run(f"{VIEW}.svg.innerHTML") == uncut and count(page, ".river-map .knocked") == 0


def choose(page, selector: str, value: str) -> None:
    script = "(e => { e.value = %r; e.dispatchEvent(new Event('change')); })(document.querySelector(%r))"
    page.run(script % (value, selector))


def test_layers_formats_and_directions(page):
    choose(page, ".river-layer", "1")
    assert page.run(f"{VIEW}.steps.T") == 200 and "update gate z" in page.run(WORDS)
    assert count(page, ".river-picture .end") == 0
    choose(page, ".river-format", "float16")
    assert count(page, ".river-picture .end") == 1 and count(page, ".river-map .below") == 1
    page.press("Home")
    page.click("[data-direction='content']")
    assert count(page, ".inflow") > 0 and count(page, ".way") == 0 and "what the memory h holds" in page.run(WORDS)
    page.click("[data-direction='gradient']")
    assert count(page, ".inflow") == 0 and count(page, ".way") > 0
    choose(page, ".river-layer", "0")
    assert page.run(f"{VIEW}.steps.T") == 60


def test_the_pulse_travels_back_and_stops(page):
    page.call("Page.bringToFront")
    choose(page, ".river-speed", "4")
    page.click(".river-play")
    page.run("new Promise(done => setTimeout(done, 400))")
    somewhere = page.run(f"{VIEW}.pulse.at")
    assert somewhere > 0 and count(page, ".overlay .pulse") >= 2
    page.click(".river-play")
    page.run("new Promise(done => setTimeout(done, 100))")
    still = page.run(f"{VIEW}.pulse.at")
    page.run("new Promise(done => setTimeout(done, 200))")
    assert page.run(f"{VIEW}.pulse.at") == still >= somewhere
    page.run(f"{VIEW}.pulse.at = 30; {VIEW}.pulse.draw()")
    assert page.run(f"{VIEW}.pulse.done") is True


def test_the_pulse_ends_where_the_format_does(open_page):
    page = open_page([made_up.record("RNN", 60, strength=0.2, dtype="float16")])
    page.run(f"(p => {{ for (p.at = 0; !p.done && p.at < 60; p.at += 0.5) p.draw(); }})({VIEW}.pulse)")
    assert page.run("document.querySelector('.overlay .left').textContent") == "0 in float16"
    assert page.run(f"{VIEW}.pulse.at") < 12


def test_words_follow_the_page_or_their_own_button(page, open_page):
    page.click(".river-wording")
    assert page.run(WORDS).startswith("t = 55, lag 4; |") and "∂c" in page.run(WORDS)
    told = open_page([made_up.record("LSTM", 20)], 'data-wording="expert"')
    assert told.run(WORDS).startswith("t = ") and told.run("document.querySelector('.river-wording').hidden") is True
    told.run("document.documentElement.dataset.wording = 'plain'")
    assert told.run(WORDS).startswith("Step ")
    told.run("document.dispatchEvent(new CustomEvent('headgate:wording', { detail: 'expert' }))")
    assert told.run(WORDS).startswith("t = ")


def test_the_table_says_what_is_drawn(page):
    page.click(".river-table summary")
    page.run("new Promise(done => setTimeout(done, 100))")
    assert count(page, ".river-table tbody tr") == 14
    header = page.run("document.querySelector('.river-table thead').textContent")
    assert "gradient / source" in header and "share highway" in header and "mean f" in header


def test_it_fits_a_telephone(long_page):
    usual = count(long_page, ".river-picture .cell")
    long_page.resize(380)
    long_page.run("new Promise(done => setTimeout(done, 200))")
    assert 1 <= count(long_page, ".river-picture .cell") < usual
    assert long_page.run("document.documentElement.scrollWidth") <= 380
    long_page.resize(1280)
    long_page.run("new Promise(done => setTimeout(done, 200))")
    assert count(long_page, ".river-picture .cell") == usual


def redraw(page, steps):
    """Median milliseconds of a redraw with layout, the quietest of three rounds."""
    page.call("Page.bringToFront")
    return page.run(
        f"""Math.min(...[0, 1, 2].map(() => {{
            const times = [];
            for (let k = 0; k < 21; k++) {{
                const begin = performance.now();
                {VIEW}.moveTo((k * 977 + 31) % {steps});
                {VIEW}.svg.getBoundingClientRect();
                times.push(performance.now() - begin);
            }}
            return times.sort((a, b) => a - b)[10];
        }}))"""
    )


def test_ten_thousand_steps_follow_the_hand(page, long_page):
    """A redraw is not much more than that of a picture with all its steps in view, however fast the machine is."""
    few, many = redraw(page, 60), redraw(long_page, 10_000)
    assert many < LONGER * few, (few, many)


def test_colours_follow_the_reader_and_the_page(page):
    water = "getComputedStyle(document.querySelector('.river-picture .water')).fill"
    light = page.run(water)
    page.prefer("dark")
    dark = page.run(water)
    assert light != dark
    page.run("document.documentElement.dataset.theme = 'light'")
    assert page.run(water) == light
    page.prefer("light")
    page.run("document.documentElement.dataset.theme = 'dark'")
    assert page.run(water) == dark


def test_nothing_is_left_in_the_window(page):
    names = "['Steps', 'Scene', 'River', 'Pulse', 'columns', 'placed', 'tag', 'drawRiver'].filter(n => n in window)"
    assert page.run(names) == []


def test_with_less_motion_the_pulse_goes_from_column_to_column(page):
    page.prefer(motion="reduce")
    page.run(f"{VIEW}.pulse.at = 2.5; {VIEW}.pulse.draw()")
    assert count(page, ".river-picture .overlay .pulse") == 1
    page.prefer()
    page.run(f"{VIEW}.pulse.draw()")
    assert count(page, ".river-picture .overlay .pulse") > 1
