"""The page: whole, offline, the same bytes from the same folder, and safe from the names it shows."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from report.made_up import Made, usual
from report.markup import read

from headgate.report import write_report
from headgate.report.mathematics import mathml
from headgate.report.page import render
from headgate.report.poster import poster

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


@pytest.fixture(scope="module")
def page() -> str:
    return render(usual().summary())


def test_it_needs_no_network_and_runs_no_script(page):
    assert not re.search(r"https?:|//[a-z]|@import|url\(|<script|<link|<iframe|src=", page)
    for tag, attributes in read(page):
        assert tag not in ("script", "link", "img", "iframe", "object", "embed")
        assert not any(name.startswith("on") or name in ("src", "srcset", "data") for name in attributes)
        assert attributes.get("href", "#").startswith("#")


def test_it_is_whole(page):
    elements = read(page)
    anchors = {attributes["href"][1:] for tag, attributes in elements if tag == "a"}
    identifiers = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert anchors <= set(identifiers) and len(identifiers) == len(set(identifiers))
    assert len(page) < 3_000_000


def test_every_picture_says_what_it_shows_and_every_figure_what_would_change_it(page):
    pictures = [attributes for tag, attributes in read(page) if tag == "svg"]
    assert len(pictures) == 1 + 2 * 3 + 6  # beside the answer; three figures a task; a strip a row
    assert all(attributes["role"] == "img" and len(attributes["aria-label"]) > 20 for attributes in pictures)
    figures = re.findall(r"<figure>.*?</figure>", page, re.S)
    assert len(figures) == 6
    for figure in figures:
        assert re.search(r"<h3>.+</h3>", figure) and "What would change this:" in figure and "<math" in figure
        assert len(re.findall(r'class="title"', figure)) >= 2  # titles of axes
        assert "<table" in figure


def test_light_and_dark_are_both_there(page):
    assert "prefers-color-scheme: dark" in page and '<meta name="color-scheme" content="light dark">' in page


def test_it_shows_timescales_beneath_the_gate_axis(page):
    ticks = re.findall(r'class="tick[^"]*"[^>]*>([^<]+)<', page)
    for gate, steps in ((".5", "1.4"), (".9", "9.5"), (".99", "99"), (".999", "1000")):
        assert gate in ticks and steps in ticks


def test_the_same_folder_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_report(usual().run().save(tmp_path / name))
    for file in ("report.html", "figure.svg"):
        one, two = ((tmp_path / name / file).read_bytes() for name in ("one", "two"))
        assert one == two and len(one) > 5000
    other = usual()
    other.reached = {**other.reached, ("digits", "gru", "after"): 0.123}
    write_report(other.run().save(tmp_path / "other"))
    assert (tmp_path / "other" / "report.html").read_bytes() != one


def test_names_cannot_break_out():
    task = {key: HOSTILE for key in ("title", "phrase", "question", "source", "rule", "score_words", "baseline_words")}
    cell = {"label": HOSTILE, "name": HOSTILE, "paper": HOSTILE, "where": HOSTILE, "gates": ["r", "z"], "keeps": "z"}
    cell["equations"] = [HOSTILE, r"\text{<script>x</script>}", r"\href{javascript:alert(1)}{x}"]
    summary = Made(cells={"own": cell}, tasks={"adding": task}).summary()
    elements = read(render(summary))
    assert {tag for tag, _ in elements} & {"script", "img"} == set()
    for _, attributes in elements:
        assert not any(name.startswith("on") for name in attributes)
        assert "javascript:" not in attributes.get("href", "")
    tags = {node.tag.rpartition("}")[2] for node in ElementTree.fromstring(poster(summary.rows)).iter()}
    assert tags == {"svg", "title", "style", "rect", "text", "g", "line", "path"}


def test_a_formula_brings_no_foreign_marks():
    assert str(mathml("f_t")).startswith("<math") and "xmlns" not in mathml("f_t")
    assert mathml(r"\text{<b>x</b>}") == r"<code>\text{&lt;b&gt;x&lt;/b&gt;}</code>"
    assert mathml(r"\frac{1}{") == r"<code>\frac{1}{</code>"
    assert "msubsup" not in mathml("b'_i") and "\u2032" in mathml("b'_i")


def test_an_lstm_that_fails_is_announced_at_the_top():
    made = usual()
    made.solved["digits", "lstm"] = 1
    head = render(made.summary()).partition("</header>")[0]
    assert "The LSTM did not solve the digits on every seed." in head and 'class="alarm"' in head
    assert 'class="alarm"' not in render(usual().summary())


def test_the_poster_stands_alone():
    picture = poster(usual().summary().rows)
    root = ElementTree.fromstring(picture)
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and root.get("aria-label")
    assert picture.count("http") == 1  # the name of the SVG language, which nothing fetches
    assert "prefers-color-scheme: dark" in picture and "--c2" in picture


def test_more_cells_than_hues_and_a_run_that_diverged_are_drawn():
    many = {f"own{k}": {"label": f"Own {k}", "gates": ["z"], "keeps": None} for k in range(7)}
    elements = read(render(Made(cells=many, diverged=(("digits", "own3"),)).summary()))
    boxes = [attributes["id"] for tag, attributes in elements if tag == "input"]
    assert boxes == [f"show-s{k}" for k in range(10)]


def test_a_gradient_of_exactly_nothing_is_drawn():
    nothing = {("adding", "rnn", moment): 0.0 for moment in ("default", "before", "after")}
    assert "RNN ↓ 0" in render(Made(reached=nothing).summary())


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no results\.json"):
        write_report(tmp_path)
