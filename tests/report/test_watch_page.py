"""The watch's page: whole, offline, the same bytes from the same Records, inert whatever the Records say."""

from __future__ import annotations

import json
import re
from html import unescape

import numpy as np
import pytest
from report import made_up_watch as made
from report.markup import read

from headgate.inspection import Record
from headgate.inspection.schema import ARRAYS, check
from headgate.report.compare_page import render as render_comparison
from headgate.report.compare_page import write_comparison
from headgate.report.horizons import horizons
from headgate.report.layer import Layer
from headgate.report.notebook import show
from headgate.report.river_data import steps_of
from headgate.report.sections import GROUPS
from headgate.report.watch_page import SMALL_BYTES, embedded, policy, render, write_watch_report

DRAWINGS = [horizons, *(chart.drawing for _, charts in GROUPS.values() for chart in charts)]
CHARTS = {
    *("horizons", "decay", "paths", "cuts", "learning", "gradient_time", "film", "spectrum", "survival", "provenance"),
    *("connectivity", "ridgeline", "saturation", "score", "gates_time", "ablation", "use", "truth", "lyapunov"),
    *("eigenvalues", "singular", "film_gates", "sources", "openness", "learnable", "price"),
}


@pytest.fixture(scope="module")
def page() -> str:
    return render(made.records())


def test_made_up_records_are_as_the_schema_says():
    for record in (*made.records(), made.long(), made.bare(), made.bare("RNN"), made.hostile()):
        check(record.name, record.arrays)


def test_it_asks_the_network_for_nothing(page):
    assert not re.search(r"https?:(?!//www\.w3\.org/)|@import|<link|<iframe|<img|src=", page)
    allowed = ("#", "data:image/png;base64,")
    for _, attributes in read(page):
        assert not any(name.startswith("on") or name in ("src", "srcset", "action") for name in attributes)
        assert attributes.get("href", "#").startswith(allowed)
    assert "default-src 'none'" in unescape(page) and not re.search(r"\beval\(", page) and "unsafe-eval" not in page


def test_scripts_are_those_the_policy_names(page):
    policy_words = re.search(r'Content-Security-Policy" content="([^"]+)"', page).group(1)
    bodies = re.findall(r"<script>(.*?)</script>", page, re.S)
    assert bodies and policy_words.count("sha256-") == len(bodies)
    assert policy("a();") != policy("b();")


def test_identifiers_are_unique_and_links_lead_somewhere(page):
    elements = read(page)
    identifiers = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    targets = {a["href"][1:] for tag, a in elements if tag == "a"}
    targets |= {a[name] for _, a in elements for name in ("aria-controls", "aria-labelledby") if name in a}
    assert targets <= set(identifiers)


def test_every_chart_says_what_it_shows_and_has_its_numbers(page):
    figures = dict(re.findall(r'<figure id="r0-(\w+)"(.*?)</figure>', page, re.S))
    assert set(figures) == CHARTS
    for name, body in figures.items():
        assert 'role="img"' in body and re.search(r'aria-label="[^"]{20,}"', body), name
        assert 'class="plain"' in body and 'class="expert"' in body and "<math" in body, name
        assert "What would change this:" in body and body.count("<td>") >= 4, name


def test_pictures_hold_few_nodes():
    for record in (made.long(), made.record("LSTM", hidden=400)):
        for body in re.findall(r"<svg.*?</svg>", render([record]), re.S):
            assert len(re.findall(r"<[a-z]", body)) <= 2000


def test_the_same_records_give_the_same_bytes(tmp_path):
    one = write_watch_report(made.records(), tmp_path / "one.html").read_bytes()
    for number, record in enumerate(made.records()):
        record.save(tmp_path / "records" / f"{number}")
    two = write_watch_report(tmp_path / "records", tmp_path / "two.html").read_bytes()
    assert one == two
    other = made.records()
    other[0].arrays["lag_profile"][1, 3] -= 1.0
    assert write_watch_report(other, tmp_path / "three.html").read_bytes() != one


def test_it_stays_small():
    assert len(render([made.long()]).encode()) < SMALL_BYTES
    many = [made.record(hidden=200, steps=600, longest=300.0, name=f"l{k}", seed=k) for k in range(3)]
    assert len(render(many).encode()) < SMALL_BYTES


def test_hostile_words_stay_words():
    for text in (render([made.hostile()]), render_comparison([made.hostile(), made.record()])):
        elements = read(text)
        assert [tag for tag, _ in elements if tag == "img"] == []
        assert not any(name.startswith("on") for _, attributes in elements for name in attributes)
        assert "alert(1)</script>" not in text.replace("&lt;/script&gt;", "")
        assert "<script>alert" not in text and "&lt;script&gt;alert(1)" in text


def test_the_escaping_is_what_holds_them():
    """The same look at a page that had forgotten to escape finds the intruder."""
    broken = render([made.hostile()]).replace("&lt;", "<").replace("&gt;", ">").replace("&#34;", '"')
    assert "<script>alert" in broken


def test_data_is_readable_and_says_its_schema(page):
    content = json.loads(re.search(r'id="watch-data">(.*?)</script>', page, re.S).group(1))
    assert content["schema"] == 1 and [r["name"] for r in content["records"]] == [r.name for r in made.records()]
    assert content["records"][0]["facts"]["needs_lag"] == 45
    odd = Record("x", {"cell": "a", "value": float("nan"), "deep": [np.float32(1.0), float("inf")]}, {})
    facts = json.loads(embedded([odd]))["records"][0]["facts"]
    assert facts["value"] is None and facts["deep"] == [1.0, None]


def test_text_is_there_only_where_it_was_asked_for():
    with_text, without = made.record(text=True), made.record()
    without.facts["secret"] = "no"
    assert "told" in render([with_text]) and 'class="tokens"' in render([with_text])
    assert 'class="tokens"' not in render([without])


def test_what_was_not_measured_is_told_in_a_line():
    text = render([made.bare()])
    assert "How much gradient reaches lag k</b>: no backward pass ran while the watch was on." in text
    assert re.findall(r'<figure id="r0-(\w+)"', text) == ["horizons", "spectrum"]
    assert re.findall(r'<figure id="r0-(\w+)"', render([made.bare("RNN")])) == ["horizons"]


@pytest.mark.parametrize("cell", ("LSTM", "RNN"))
def test_any_array_may_be_missing_or_say_nothing(cell):
    """None of it breaks a chart that reads it, and no NaN is written into one."""
    whole = made.record(cell, steps=12, hidden=4)
    for draw in DRAWINGS:
        for name in reads(draw, whole):
            values = whole.arrays[name]
            rest = {other: kept for other, kept in whole.arrays.items() if other != name}
            ways = [rest, {**rest, name: np.full_like(values, np.nan)}] if values.dtype.kind == "f" else [rest]
            for arrays in ways:
                figure = draw(Layer(Record("x", whole.facts, arrays)))
                drawn = "" if figure is None else re.sub(r"base64,[^\"]+", "", figure.picture + figure.after)
                assert not re.search(r"\b(nan|inf)\b", drawn), name


def test_every_array_that_is_described_has_its_place():
    """In a chart, in the picture of the network, or, for those named here, in the file alone."""
    record = made.record()
    assert set(record.arrays) == set(ARRAYS) - {"bound", "gate_values"}  # one of a cell without gates, one of the demo
    drawn = {name for draw in DRAWINGS for name in reads(draw, record)}
    drawn |= reads(lambda layer: steps_of(layer.record), record) | reads(DRAWINGS[1], made.record("RNN"))
    # What the demo samples of gates stands in the demo's own page.
    assert set(ARRAYS) - drawn == {"gate_values"}


class Reads(dict):
    """Arrays that remember which of them were asked for."""

    def __init__(self, arrays) -> None:
        super().__init__(arrays)
        self.names: set[str] = set()

    def get(self, name, default=None):
        self.names |= {name} & self.keys()
        return super().get(name, default)

    def __getitem__(self, name):
        self.names.add(name)
        return super().__getitem__(name)


def reads(draw, record) -> set[str]:
    """Which arrays a drawing asks for."""
    arrays = Reads(record.arrays)
    draw(Layer(Record("x", record.facts, arrays)))
    return arrays.names


@pytest.mark.parametrize("size", ((1, 1), (2, 1), (3, 2)), ids="T{0[0]} H{0[1]}".format)
@pytest.mark.parametrize("cell", tuple(made.CELLS))
def test_the_smallest_records_are_drawn(cell, size):
    assert read(render([made.record(cell, steps=size[0], hidden=size[1])]))


def test_costs_are_in_the_unit_they_were_measured_in():
    record = made.record()
    assert "% of the way to chance" in render([record])
    record.facts["ablation_unit"] = "loss"
    assert "% of the way to chance" not in render([record]) and "in loss" in render([record])


def test_it_says_the_three_answers_in_words(page):
    assert "Stores 44 steps, can train at least 59, uses 12; the task needs 45." in page
    assert "not measured: stored" in page  # the plain network keeps nothing by a gate
    assert "forget highway" in page and "z highway" in page


def test_verdicts_come_worst_first_with_number_rule_and_source(page):
    names = re.findall(r'<p class="claim"><b>([^<]+)</b> <span class="level">(\w+)</span>', page)[:4]
    assert [word for _, word in names] == ["Problem", "Warning", "Note", "Good"]
    assert page.count("Rule: ") == 12 and page.count("Source: ") == 12


def test_plain_or_expert_first():
    assert 'id="wording-plain" value="plain" autocomplete="off" checked' in render([made.bare()])
    assert 'id="wording-expert" value="expert" autocomplete="off" checked' in render([made.bare()], plain=False)


def test_images_come_along_when_asked_for(tmp_path):
    path = write_watch_report(made.bare(), tmp_path, images=True)
    assert path == tmp_path / "watch.html"
    assert sorted(p.name for p in (tmp_path / "watch_charts" / "0").iterdir()) == [
        "horizons.png", "horizons.svg", "spectrum.png", "spectrum.svg",
    ]  # fmt: skip


def test_nothing_to_show_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"write_watch_report: .* holds no record\.json"):
        write_watch_report(tmp_path, tmp_path / "x.html")
    with pytest.raises(ValueError, match="write_watch_report: an empty list came"):
        write_watch_report([], tmp_path / "x.html")
    with pytest.raises(ValueError, match="a comparison takes two or more"):
        write_comparison([made.bare()], tmp_path)
    with pytest.raises(ValueError, match="1 names came for 2 Records"):
        write_comparison([made.bare(), made.bare()], tmp_path, names=["a"])


def test_a_notebook_shows_it_in_a_frame_of_its_own():
    frame = show(made.bare())._repr_html_()
    elements = read(frame)
    assert [tag for tag, _ in elements] == ["iframe"]
    attributes = elements[0][1]
    assert attributes["sandbox"] == "allow-scripts" and attributes["srcdoc"] == render([made.bare()])


def test_a_comparison_shows_both_and_their_differences(tmp_path):
    one, two = made.record(name="net"), made.record(name="net", dtype="bfloat16", rate=0.5, longest=20.0)
    path = write_comparison([one, two], tmp_path)
    text = path.read_text()
    assert path.name == "comparison.html" and "bfloat16 against float32" in text
    row = re.search(r"<td>Stored, steps</td><td>([\d.]+)</td><td>([\d.]+)</td><td>([-+\d.]+)</td>", text)
    assert float(row.group(3)) == pytest.approx(float(row.group(2)) - float(row.group(1)), abs=0.02) and "-" in row[3]
    found = re.findall(r'<figure id="c-([\w-]+)"', text)
    assert {"horizons", "decay", "share", "paths", "film", "spectrum", "survival", "gate-f", "ablation"} <= set(found)
    assert read(text)
