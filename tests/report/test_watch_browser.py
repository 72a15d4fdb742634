"""The watch's page in a real browser: nothing goes wrong, nothing is fetched, every control does what it says."""

from __future__ import annotations

import math

import pytest
from report import made_up_watch as made

from headgate.report.compare_page import write_comparison
from headgate.report.notebook import show
from headgate.report.watch_page import write_watch_report

PANELS = "[...document.querySelectorAll('[role=tabpanel]')].map(p => !p.hidden)"
READOUT = "document.querySelector('#readout').hidden ? '' : document.querySelector('#readout').textContent"
SEEN = "[...document.querySelectorAll('{}')].filter(e => e.checkVisibility()).length"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_watch_report(made.records(), tmp_path_factory.mktemp("watch") / "watch.html")


@pytest.fixture
def page(browser, path):
    opened = browser.open(path)
    yield opened
    assert opened.errors() == []
    assert len(opened.requests()) == len([r for r in opened.requests() if r.startswith(("file:", "data:"))])
    opened.close()


def test_it_loads_and_asks_for_nothing(page, path):
    assert page.run("document.body.dataset.ready") == "yes"
    files = [address for address in page.requests() if not address.startswith("data:")]
    assert files == [path.resolve().as_uri()]


def test_layers_are_chosen_by_mouse_and_by_keys(page):
    assert page.run(PANELS) == [True, False, False]
    page.click("#tab-r1")
    assert page.run(PANELS) == [False, True, False]
    page.press("ArrowRight")
    assert page.run(PANELS) == [False, False, True]
    assert page.run("document.activeElement.id") == "tab-r2"
    page.press("ArrowRight")
    assert page.run(PANELS) == [True, False, False]
    page.press("End")
    page.press("ArrowLeft")
    assert page.run(PANELS) == [False, True, False]
    page.press("Home")
    assert page.run("document.querySelector('[aria-selected=true]').id") == "tab-r0"
    assert page.run("[...document.querySelectorAll('[role=tab]')].map(t => t.tabIndex)") == [0, -1, -1]


def test_a_link_to_a_layer_opens_it(page):
    page.click("[data-layer=r2]")
    assert page.run(PANELS) == [False, False, True]
    page.run("location.hash = '#r1-decay'")
    page.run("new Promise(done => setTimeout(done, 60))")
    assert page.run(PANELS) == [False, True, False]


def test_wording_is_plain_or_expert(page):
    assert page.run(SEEN.format("p.plain")) > 10 and page.run(SEEN.format("div.expert")) == 0
    page.run("document.querySelector('#wording-plain').focus()")
    page.press("ArrowRight")
    assert page.run(SEEN.format("p.plain")) == 0 and page.run(SEEN.format("div.expert")) > 10
    assert page.run("document.documentElement.dataset.wording") == "expert"
    page.click("label:has(#wording-plain)")
    assert page.run(SEEN.format("div.expert")) == 0


def test_colours_follow_the_reader_and_the_choice(page):
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.run(paper)
    page.prefer("dark")
    dark = page.run(paper)
    assert (light, dark) == ("rgb(255, 255, 255)", "rgb(20, 24, 29)")
    page.click("label:has(#theme-light)")
    assert page.run(paper) == light
    page.click("label:has(#theme-dark)")
    page.prefer("light")
    assert page.run(paper) == dark
    page.click("label:has(#theme-auto)")
    assert page.run(paper) == light


def test_arrow_keys_read_values_off_a_chart(page):
    page.run("document.querySelector('#r0-decay .body > .scroll').focus()")
    page.press("ArrowRight")
    first = page.run(READOUT)
    assert first.startswith("lag k: 1\n") and "total: 1.27" in first
    page.press("ArrowRight", shift=True)
    assert page.run(READOUT) != first and "highway alone" in page.run(READOUT)
    page.press("Escape")
    assert page.run(READOUT) == ""


def test_values_read_are_those_of_the_record(page):
    """At the frame's right end stands the last lag, with the last value of the profile."""
    record = made.records()[0]
    page.run("document.querySelector('#r0-decay .body > .scroll').focus()")
    for _ in range(40):
        page.press("ArrowRight", shift=True)
    told = dict(line.split(": ") for line in page.run(READOUT).split("\n"))
    assert float(told["total"]) == pytest.approx(10 ** record.arrays["lag_profile"][1, -1], rel=0.02)
    assert float(told["highway alone"]) == pytest.approx(10 ** record.arrays["highway_profile"][-1], rel=0.02)


def test_cells_of_a_picture_are_read_through_its_colours(page):
    """The longest-lived unit, in the first row, after the last lag."""
    record = made.records()[0]
    survival = record.arrays["survival"]
    page.run("document.querySelector('#r0-survival .body > .scroll').focus()")
    for key in ("ArrowRight",) * 30 + ("ArrowUp",) * 30:
        page.press(key, shift=True)
    page.run("new Promise(done => setTimeout(done, 100))")
    page.press("ArrowUp")
    told = dict(line.split(": ") for line in page.run(READOUT).split("\n"))
    best = int(record.arrays["timescales"].argmax())
    assert float(told["kept"]) == pytest.approx(survival[best, -1], abs=0.004)


def test_shares_of_gates_over_training_are_read_off_their_ridges(page):
    """In the last look the forget gate's middle stands where sixteen shifts have brought it."""
    record = made.records()[0]
    last, edges = record.arrays["film_gates"][-1, 1], record.arrays["logit_edges"]
    value = 1 / (1 + math.exp(-(edges[last.argmax()] + edges[last.argmax() + 1]) / 2))
    page.run("document.querySelector('#r0-film_gates').scrollIntoView({block: 'center'})")
    panel = "document.querySelectorAll('#r0-film_gates .panel[data-box]')[1]"
    left, _, right, bottom = map(float, page.run(f"{panel}.dataset.box").split())
    _, low, high, *_ = page.run(f"{panel}.dataset.x").split()
    ends = [math.log(float(p) / (1 - float(p))) for p in (low, high)]
    x = left + (math.log(value / (1 - value)) - ends[0]) / (ends[1] - ends[0]) * (right - left)
    point = f"new DOMPoint({x}, {bottom - 2}).matrixTransform({panel}.ownerSVGElement.getScreenCTM())"
    place = page.run(f"(p => [p.x, p.y])({point})")
    for _ in range(2):  # the first one loads the picture's cells
        page.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
        page.run("new Promise(done => setTimeout(done, 60))")
    told = dict(line.split(": ") for line in page.run(READOUT).split("\n"))
    assert float(told["value of f"]) == pytest.approx(value, rel=0.05) and float(told["training step"]) > 1950
    assert float(told["share of values"]) == pytest.approx(last.max(), rel=0.03)


def test_the_pointer_lights_the_token_that_was_read(page):
    page.run("document.querySelector('#r0-score image.heat').scrollIntoView({block: 'center'})")
    found = "document.querySelector('#r0-score image.heat').getBoundingClientRect()"
    box = page.run(f"(r => [r.x, r.y, r.width, r.height])({found})")
    x, y = box[0] + box[2] * 0.6, box[1] + box[3] / 2
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    lit = page.run("[...document.querySelectorAll('#r0-score .tokens .on')].map(e => e.title)")
    assert lit == ["step 35"]
    assert page.run(READOUT).startswith("time step: 35\nunit: ")


def test_a_table_goes_to_the_clipboard(page):
    page.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    page.run("window.copied = null; navigator.clipboard.writeText = async text => { window.copied = text; }")
    page.click("#r0-decay summary")
    page.click("#r0-decay button.copy")
    page.run("new Promise(done => setTimeout(done, 50))")
    rows = page.run("window.copied").split("\n")
    assert rows[0].split("\t")[:3] == ["lag k", "10 %", "median"] and len(rows) == 9
    assert page.run("document.querySelector('#r0-decay button.copy').textContent") == "Copied"


def test_every_place_that_keys_reach_shows_that_it_has_the_focus(page):
    page.press("Tab")
    assert page.run("document.activeElement.className") == "skip"
    seen = []
    for _ in range(12):
        page.press("Tab")
        script = """[document.activeElement, document.activeElement.closest('label')].filter(Boolean)
          .map(e => getComputedStyle(e)).some(s => s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1)"""
        seen.append((page.run("document.activeElement.outerHTML.slice(0, 60)"), page.run(script)))
    assert [element for element, outlined in seen if not outlined] == []


OVERLAPS = """[...document.querySelectorAll('figure svg.chart')].filter(e => e.checkVisibility()).flatMap(chart => {
      const words = [...chart.querySelectorAll('text.tick, text.title, text.heading, text.label, text.big')]
        .map(text => [text.textContent, text.getBoundingClientRect()]).filter(([, r]) => r.width);
      const hit = [];
      words.forEach(([a, p], k) => words.slice(k + 1).forEach(([b, q]) => {
        const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
        const tall = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
        if (wide > 2 && tall > 4.5) hit.push([chart.closest('figure').id, a, b]);
      }));
      return hit;
    })"""


def test_no_words_run_into_each_other(page):
    """Boxes of the words of one chart, whatever the layer, overlap by no more than their blank rims."""
    for layer in ("r0", "r1", "r2"):
        page.click(f"#tab-{layer}")
        assert page.run(OVERLAPS) == []
    page.run("(t => t.parentNode.append(t.cloneNode(true)))(document.querySelector('#r2-decay text.tick'))")
    assert len(page.run(OVERLAPS)) == 1


@pytest.mark.parametrize("name", ("long", "bfloat16", "other"))
def test_nor_where_there_is_much_or_little(browser, tmp_path, name):
    """Ten thousand steps; formats that end early; a cell of one's own with long names."""
    if name == "other":
        record = made.record("GRU", steps=7, hidden=3)
        record.facts.update(label="A cell of my own with a long name", cell="own")
    else:
        record = made.long() if name == "long" else made.record("RNN", rate=0.01, dtype="bfloat16")
    page = browser.open(write_watch_report(record, tmp_path))
    assert page.run(OVERLAPS) == []
    assert page.errors() == []
    page.close()


@pytest.mark.parametrize("width", (480, 1280, 2000))
def test_the_page_itself_never_scrolls_sideways(browser, path, width):
    page = browser.open(path, width=width)
    assert page.run("document.documentElement.scrollWidth") == width
    page.close()


def test_on_paper_all_layers_are_there(page):
    page.prefer(media="print")
    assert page.run("[...document.querySelectorAll('.layer')].map(p => p.checkVisibility())") == [True] * 3
    assert page.run(SEEN.format(".controls, .tabs, nav")) == 0


def test_hostile_words_run_nowhere(browser, tmp_path):
    for path in (
        write_watch_report([made.hostile(), made.record(text=True)], tmp_path / "hostile.html", title=made.HOSTILE),
        write_comparison([made.hostile(), made.record()], tmp_path, names=[made.HOSTILE, "x"]),
    ):
        page = browser.open(path)
        assert page.errors() == [] and page.run("document.body.dataset.ready") == "yes"
        assert page.run("document.querySelectorAll('img, iframe').length") == 0
        assert page.run("document.title").startswith(("<script>", "Compared"))
        page.close()


def test_an_intruder_would_be_stopped_by_the_policy(browser, path, tmp_path):
    """The same page with a script put into it: the browser refuses to run it, and says so."""
    text = path.read_text().replace("<h1>", "<script>window.intruder = 1;</script><h1>", 1)
    (tmp_path / "broken.html").write_text(text)
    page = browser.open(tmp_path / "broken.html")
    assert page.run("window.intruder === undefined") is True
    assert any("Content Security Policy" in error for error in page.errors())
    page.close()


def test_without_scripts_everything_is_there(browser, path):
    page = browser.open(path)
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    page.go(path)
    page.call("Emulation.setScriptExecutionDisabled", value=False)
    assert page.run("[...document.querySelectorAll('.layer')].every(p => p.checkVisibility())") is True
    assert page.run(SEEN.format(".tabs")) == 0
    page.close()


def test_a_comparison_loads(browser, tmp_path):
    page = browser.open(write_comparison(made.records(), tmp_path))
    assert page.errors() == [] and page.run("document.querySelectorAll('figure').length") >= 4
    page.close()


def test_a_notebook_frame_draws_the_page(browser, tmp_path):
    frame = show(made.record())._repr_html_()
    (tmp_path / "notebook.html").write_text(f"<!DOCTYPE html><meta charset=utf-8><title>n</title>{frame}")
    page = browser.open(tmp_path / "notebook.html")
    page.run("new Promise(done => setTimeout(done, 300))")
    assert page.errors() == []
    assert page.run("document.querySelector('iframe').contentDocument") is None  # an origin of its own
    page.close()
