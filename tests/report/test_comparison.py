"""Compared Records: every chart on the same axes and colours, only where two hold it, and its numbers in a table."""

from __future__ import annotations

import base64
import re
from html import unescape

import numpy as np
import pytest
from report import made_up_watch as made
from report.markup import read
from report.test_watch_charts import pixels

from headgate.inspection import Record
from headgate.report.compare_page import charts, render, write_comparison
from headgate.report.comparison import compared, differences, labels
from headgate.report.film import film
from headgate.report.images import bitmap
from headgate.report.layer import Layer, layers
from headgate.report.path_river import path_river
from headgate.report.saturation import saturation
from headgate.report.survival import survival
from headgate.report.watch_page import SMALL_BYTES

NAMES = ["one", "two"]
SINGLE = {"film": film, "survival": survival, "paths": path_river, "saturation": saturation}
NEEDS = {"film": "film", "survival": "survival", "paths": "arrow_share", "saturation": "saturated_low"}


def pair() -> list[Record]:
    """Two cells of other sizes, lengths, lags and moments of training."""
    first = made.record("LSTM", steps=60, hidden=24)
    second = made.record("GRU", steps=200, hidden=40, longest=120.0, seed=1)
    second.arrays["film_steps"] = second.arrays["film_steps"] * 2 + 100
    second.arrays["film_loss"] = second.arrays["film_loss"] * 3
    second.arrays["cancellation"] = second.arrays["cancellation"] * 20
    return [first, second]


def figure(name: str, records: list[Record] | None = None):
    records = records or pair()
    names = NAMES if len(records) == 2 else [f"r{k}" for k in range(len(records))]
    return next((found for found in compared(layers(records), names) if found.name == name), None)


def scales(picture: str) -> list[tuple[tuple[str, float, float, str], ...]]:
    """Kind, low, high and name of both axes of each panel."""
    found = re.findall(r'data-x="([^"]*)" data-y="([^"]*)"', picture)
    told = [[part.split(" ", 5) for part in axes] for axes in found]
    return [tuple((kind, float(low), float(high), words) for kind, low, high, _, _, words in axes) for axes in told]


def without(record: Record, name: str) -> Record:
    return Record(record.name, record.facts, {key: v for key, v in record.arrays.items() if key != name})


def images(picture: str) -> list[np.ndarray]:
    """The bytes of each map, in order; the colours' key is none."""
    found = re.findall(r'<image href="data:image/png;base64,([^"]+)"[^>]*class="heat"', picture)
    return [pixels(base64.b64decode(text)) for text in found]


def test_every_chart_is_there_in_its_order():
    found = [f.name for f in compared(layers([made.record(), made.record(seed=1)]), NAMES)]
    assert found == ["horizons", "decay", "share", "paths", "film", "spectrum", "survival",
                     *("gate-i", "gate-f", "gate-o"), "saturation", "ablation"]  # fmt: skip


@pytest.mark.parametrize("name", SINGLE)
def test_a_chart_needs_two_records_that_hold_it(name):
    one, two = pair()
    bare = without(two, NEEDS[name])
    assert figure(name) is not None and figure(name, [one, bare]) is None and figure(name, [bare, one]) is None
    three = figure(name, [one, bare, two])
    assert {row[0] for row in three.numbers} == {"r0", "r2"}
    assert scales(three.picture) == scales(figure(name).picture)


@pytest.mark.parametrize("name", ("decay", "share", "spectrum"))
def test_a_line_alone_is_no_comparison(name):
    one, two = pair()
    array = {"decay": "lag_profile", "share": "highway_share", "spectrum": "timescales"}[name]
    assert figure(name) is not None and figure(name, [one, without(two, array)]) is None


@pytest.mark.parametrize("name", SINGLE)
def test_all_stand_on_the_same_axes_and_colours(name):
    """Those that hold all of both, although neither Record alone would need them."""
    drawn = figure(name).picture
    alone = [SINGLE[name](Layer(record)).picture for record in pair()]
    kinds = {"film": 2, "paths": 2}.get(name, 1)
    found = scales(drawn)
    assert len(set(found)) == kinds and len(found) == (7 if name == "saturation" else 2 * kinds)
    colours = set(re.findall(r'data-low="([^"]+)" data-high="([^"]+)"', drawn))
    assert len(colours) == (1 if name in ("film", "survival") else 0)
    for panels in map(scales, alone):
        for shared, own in zip(found[:kinds], panels, strict=False):
            for (_, low, high, _), (_, own_low, own_high, _) in zip(shared, own, strict=True):
                assert low <= own_low and high >= own_high


@pytest.mark.parametrize("name", SINGLE)
def test_one_record_twice_stands_on_the_axes_of_its_own_chart(name):
    record = made.record()
    alone = SINGLE[name](Layer(record))
    both = figure(name, [record, record])
    assert set(scales(both.picture)) == set(scales(alone.picture))
    for one, two in zip(images(alone.picture) * 2, images(both.picture), strict=True):
        assert (one == two).all()
    assert both.formula == alone.formula and both.change == alone.change and alone.expert in both.expert


def test_the_comparison_of_scales_can_fail():
    """Charts drawn each for itself have other axes, and are told apart."""
    own = [scales(SINGLE["film"](Layer(record)).picture) for record in pair()]
    assert own[0] != own[1]


def test_nothing_is_drawn_where_a_record_has_nothing():
    first, second = images(figure("film").picture)
    # 60 steps of 200: a share of log(60) / log(200) of the height; the second film begins at step 100 of 4100.
    assert (first[: round(256 * (1 - np.log(60) / np.log(200))) - 3] == 255).all() and (first[-1, :120] != 255).all()
    assert (first[-1, 2000 * 256 // 4100 + 2 :] == 255).all()
    assert (second[:, :5] == 255).all() and (second[:, 8:] != 255).all()
    small, large = images(figure("survival").picture)
    assert len(small) == len(large) == 40 and (small[24:] == 255).all() and (small[:24, 0] == 254).all()
    assert (large != 255).all()


def test_units_are_sorted_and_their_table_says_which():
    one = pair()[0]
    rows = [row for row in figure("survival").numbers if row[0] == "one"]
    times = [float(row[2]) for row in rows]
    assert times == sorted(times, reverse=True)
    unit = int(rows[0][1])
    assert unit == int(one.arrays["timescales"].argmax()) and rows[0][-1] == f"{one.arrays['kill'][unit, 1]:.3f}"
    assert figure("survival").header[:3] == ["layer", "unit", "time scale"]


def test_tables_hold_each_records_numbers():
    records = pair()
    found = figure("film")
    assert len(found.header) == len(found.numbers[0]) and "r(199)" in found.header and "r(59)" in found.header
    last = [row for row in found.numbers if row[0] == "one"][-1]
    assert last[1:4] == ["2000", "0.01", "59"] and last[found.header.index("r(199)")] == ""
    paths = figure("paths")
    assert paths.header == ["layer", "step", "highway", "i", "f", "g", "o", "readout", "r", "z", "n", "cancellation"]
    row = next(row for row in paths.numbers if row[0] == "two")
    shares = records[1].arrays["arrow_share"][:, int(row[1])]
    assert row[2:-1] == [f"{shares[0]:.3f}", "", "", "", "", *(f"{shares[k]:.3f}" for k in (4, 1, 2, 3))]
    gates = figure("saturation")
    assert all(len(row) == len(gates.header) for row in gates.numbers)
    assert {row[0] for row in gates.numbers} == set(NAMES) and "z open" in gates.header


def test_costs_in_two_units_share_no_scale():
    one, two = pair()
    assert 'class="whisker ink"' in figure("survival").picture and "fill: #" in figure("saturation").picture
    two.facts["ablation_unit"] = "loss"
    found = figure("survival", [one, two])
    assert 'class="whisker ink"' not in found.picture and "two units" in found.reading
    assert "fill: #" not in figure("saturation", [one, two]).picture


def test_the_keeping_gate_is_named_and_the_first_path_told():
    drawn = figure("saturation").picture
    assert "f (keeps)" in drawn and "z (keeps)" in drawn
    assert re.search(r"one: \d+\xa0% by the forget highway; two: \d+\xa0% by the z highway", figure("paths").reading)


def test_many_units_are_counted_in_all_records_alike():
    few, many = made.record(hidden=16), made.record(hidden=300, seed=1)
    assert "speck" in saturation(Layer(few)).picture
    drawn = figure("saturation", [few, many]).picture
    assert "speck" not in drawn and len(set(re.findall(r'data-low="([^"]+)" data-high="([^"]+)"', drawn))) == 1


@pytest.mark.parametrize(("count", "hidden"), ((2, 110), (3, 68), (8, 64)))
def test_pictures_hold_few_nodes(count, hidden):
    records = [made.record(hidden=hidden, name=f"s{k}", seed=k) for k in range(count)]
    for found in compared(layers(records), labels(layers(records))):
        assert len(re.findall(r"<[a-z]", found.picture)) <= 2000, found.name


def test_a_page_of_three_ordinary_records_is_small():
    records = [made.record(cell, steps=2000, hidden=256, longest=900.0, seed=k) for k, cell in enumerate(made.CELLS)]
    assert len(render(records).encode()) < SMALL_BYTES
    same = [made.record("LSTM", steps=2000, hidden=256, longest=900.0, seed=k, name=f"l{k}") for k in range(3)]
    assert len(render(same).encode()) < SMALL_BYTES


def test_the_same_records_give_the_same_bytes(tmp_path):
    for number, record in enumerate(pair()):
        record.save(tmp_path / f"{number}")
    saved = write_comparison([tmp_path / "0", tmp_path / "1"], tmp_path / "page.html", names=NAMES)
    assert saved.read_text() == render(pair(), names=NAMES)


@pytest.mark.parametrize("sizes", ([(1, 1), (2, 1)], [(3, 2), (1, 1)]))
@pytest.mark.parametrize("cell", tuple(made.CELLS))
def test_the_smallest_records_are_compared(cell, sizes):
    text = render([made.record(cell, steps=steps, hidden=hidden) for steps, hidden in sizes])
    assert read(text) and not re.search(r"\b(nan|inf)\b", re.sub(r"base64,[^\"]+|<script.*?</script>", "", text))


@pytest.mark.parametrize("name", ("film_loss", "kill", "readout_weight", "cancellation", "timescales", "film"))
def test_any_array_may_be_missing_or_say_nothing(name):
    one, two = pair()
    nothing = Record(two.name, two.facts, {**two.arrays, name: np.full(two.arrays[name].shape, np.nan)})
    for other in (without(two, name), nothing):
        for found in compared(layers([one, other]), NAMES):
            assert not re.search(r"\b(nan|inf)\b", re.sub(r"base64,[^\"]+", "", found.picture)), found.name


def test_names_too_long_for_their_place_are_cut_and_words_stay_words():
    long = ["a network whose name goes on and on and on, far beyond its place", made.HOSTILE]
    records = pair()
    records.append(made.record("LSTM", seed=4))
    found = next(f for f in compared(layers(records), [*long, "x"]) if f.name == "film")
    headings = re.findall(r'class="heading">([^<]+)<', found.picture)
    assert len(headings) == 3 and all(len(unescape(words)) < 45 for words in headings)
    assert "…" in headings[0] and "<script>" not in found.picture


def test_every_chart_is_a_file_when_asked_for(tmp_path):
    path = write_comparison(pair(), tmp_path, names=NAMES, images=True)
    names = {f.name for f in compared(layers(pair()), NAMES)}
    written = {p.name for p in (tmp_path / f"{path.stem}_charts").iterdir()}
    assert written == {f"{name}.{kind}" for name in names for kind in ("svg", "png")}
    assert not (write_comparison(pair(), tmp_path / "plain.html").with_name("plain_charts")).exists()
    light, dark = charts(pair(), NAMES)["film"], charts(pair(), NAMES, scheme="dark")["film"]
    assert light != dark and "var(--" not in light + dark and ">two<" in light
    assert bitmap(light).startswith(b"\x89PNG")


def test_formats_and_verdicts_stand_in_the_table():
    one, two = made.record(dtype="float16"), made.record(dtype="float32", seed=1)
    one.facts["floor"], two.facts["floor"] = -4.21, -37.93
    two.facts["verdicts"] = [v for v in two.facts["verdicts"] if v["name"] != "VANISHING"]
    one.facts["verdicts"] *= 2
    read_layers = layers([one, two])
    header, rows = differences(read_layers, labels(read_layers))
    assert header == ["measure", "float16", "float32", "float32 against float16"]
    table = {row[0]: row[1:] for row in rows}
    assert table["gates and gradients computed in"] == ["float16", "float32", "differs"]
    assert table["its smallest normal number"] == ["6.17e-05", "1.17e-38", "differs"]
    assert table["a gate in it keeps for at most"] == ["2047 steps, or for ever", "any number", "differs"]
    assert table["said VANISHING"] == ["Warning, 2 times", "no", "differs"]
    assert all(len(row) == len(header) for row in rows)
    drawn = next(f for f in compared(read_layers, ["float16", "float32"]) if f.name == "decay")
    assert "end of float16: float16" in drawn.picture and "number format ends" in drawn.reading


def test_words_of_long_horizons_and_shares_beyond_a_whole_stay_inside():
    one, two = pair()
    one.facts["horizons"]["stored"]["max"] = 1234567.0
    one.arrays["highway_share"] = one.arrays["highway_share"] * 1.6
    found = {f.name: f.picture for f in compared(layers([one, two]), ["a name of some length", "two"])}
    x = float(re.search(r'<text x="([\d.]+)" [^>]*>a name of s… 1,234,567<', found["horizons"]).group(1))
    assert x + 6.0 * len("a name of s… 1,234,567") < 640
    _, low, high, _ = scales(found["share"])[0][1]
    assert low <= -0.25 and high > 1.6


@pytest.mark.parametrize("scheme", ("light", "dark"))
def test_it_is_read_by_pointer_in_a_real_browser(browser, tmp_path, scheme):
    page = browser.open(write_comparison(pair(), tmp_path, names=NAMES))
    page.prefer(scheme)
    assert page.run("document.body.dataset.ready") == "yes"
    for name in ("film", "survival"):
        image = f"document.querySelectorAll('#c-{name} image.heat')[1]"
        page.run(f"{image}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        x, y = page.run(f"(r => [r.x + r.width * 0.3, r.y + r.height * 0.9])({image}.getBoundingClientRect())")
        page.click_at(x, y)
        page.run("new Promise(done => setTimeout(done, 80))")
        page.click_at(x + 1, y)
        words = page.run("document.querySelector('#readout').textContent")
        first, second, value = words.split("\n")[:3]
        expected = {
            "film": ("training step: 12", "lag k: ", "log10 relative gradient: -"),
            "survival": ("lag k: ", "unit, longest-lived first: 3", "kept: "),
        }[name]
        assert (first.startswith(expected[0]), second.startswith(expected[1]), value.startswith(expected[2])) == (
            True, True, True), words  # fmt: skip
    assert page.errors() == []
    page.close()
