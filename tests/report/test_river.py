"""What the unrolled picture puts on a page, and the picture as a file of its own."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from report import made_up_river as made_up

from headgate.inspection import Record
from headgate.inspection.schema import check
from headgate.report.river import FIRST_WIDTH, SCRIPTS, river, river_svg, template
from headgate.report.river_data import FORMATS, Missing, as_script, source_of, steps_of

HOSTILE = "</script><script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"


@pytest.mark.parametrize("cell", made_up.CELLS)
def test_made_up_records_are_records(cell):
    """What the tests draw is what measuring leaves behind, and its shares sum to one."""
    record = made_up.record(cell, 30)
    check(record.name, record.arrays)
    assert np.allclose(record.arrays["arrow_share"].sum(0), 1)


def test_ten_thousand_steps_stay_small():
    page = river([made_up.record(steps=10_000, keep=0.97, every=400)])
    assert len(page.encode()) < 950_000


def test_the_same_record_gives_the_same_bytes():
    one, two, other = (made_up.record("GRU", 40, seed=seed) for seed in (0, 0, 1))
    assert river([one]) == river([two]) != river([other])
    assert river_svg(one) == river_svg(two) != river_svg(other)


def test_it_names_its_formula_and_what_would_change_it():
    page = str(river([made_up.record()]))
    assert "What would change this:</b> gates that stand further open" in page and "<math" in page


def test_the_page_asks_nobody_for_anything():
    page = river([made_up.record()])
    assert not re.search(r"https?:|//[a-z]+\.[a-z]|@import|url\(|<link|<iframe|src=|eval\(|new Function|fetch\(", page)
    assert page.count("<script") == 3 and page.count("</script>") == 3
    assert 'aria-live="polite"' in page and 'role="slider"' in page and "<table" in page


def test_it_leaves_no_names_behind():
    """All of the script stands in one function; every function and file is small enough to read."""
    page = str(river([made_up.record()]))
    script = page[page.rindex("<script>") :]
    assert script.startswith('<script>\n(() => {\n"use strict";') and script.rstrip().endswith("})();\n</script>")
    for name in [*(f"river_{name}.js" for name in SCRIPTS), "river.js"]:
        text = str(template(name))
        assert text.count("\n") < 400, name
        begins = re.compile(r"(function|class|  \w+\(.*\{$)")
        starts = [number for number, line in enumerate(text.split("\n")) if begins.match(line)]
        assert max(b - a for a, b in zip(starts, [*starts[1:], text.count("\n")], strict=True)) < 60, name


def test_names_cannot_break_out():
    record = made_up.record(steps=12, name=HOSTILE, label=HOSTILE, text=[HOSTILE] * 12)
    page = str(river([record, made_up.record(name="other")]))
    assert "<script>alert" not in page and "<img" not in page
    picture = river_svg(record)
    tags = {node.tag.rpartition("}")[2] for node in ElementTree.fromstring(picture).iter()}
    assert tags <= {"svg", "title", "style", "rect", "text", "g", "line", "path", "circle"}
    assert "<" not in as_script(HOSTILE) and "&" not in as_script(HOSTILE)


@pytest.mark.parametrize("scheme", [None, "light", "dark"])
def test_the_picture_stands_alone(scheme):
    picture = river_svg(made_up.record("LSTM", 60), 30, scheme=scheme)
    root = ElementTree.fromstring(picture)
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and root.get("role") == "img"
    assert root.get("aria-label").startswith("Step 30, 29 before the loss: ")
    assert picture.count("http") == 1 and "NaN" not in picture.replace("nan", "NaN")
    assert ("var(--" in picture) == (scheme is None) == ("prefers-color-scheme: dark" in picture)


def test_without_variables_each_hue_is_written_out():
    picture = river_svg(made_up.record("LSTM", 60, keep=0.8), scheme="light")
    assert ".river-hues .s2 .stroke { fill: none; stroke: #0068ad; }" in re.sub(r"\s+", " ", picture)
    assert ".river-svg .against.s3 .body" in picture


def test_a_step_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"focus=60.*give 0 to 59"):
        river_svg(made_up.record(steps=60), 60)


def test_a_reversed_layer_takes_its_steps_by_the_input():
    picture = river_svg(made_up.record(steps=60, reverse=True), 10)
    assert "Step 10, 10 before the loss" in picture


def test_a_record_without_arrows_is_left_out_or_refused():
    bare = Record("l1", {"cell": "LSTM", "missing": {"arrow_norm": "no backward pass came here"}}, {})
    page = str(river([bare, made_up.record(name="l0")]))
    assert "river-layer" not in page[: page.index("<script")]
    with pytest.raises(Missing, match="no backward pass came here"):
        river([bare])
    with pytest.raises(Missing, match="give at least one"):
        river([])
    silent = made_up.record()
    silent.arrays["gradient_norm"] = np.full(60, np.nan)
    with pytest.raises(Missing, match="none reached this layer"):
        river([silent])


def test_the_source_is_where_the_readout_enters():
    steps = steps_of(made_up.record(steps=30))
    assert source_of(steps.facts["paths"], steps.arrays) == 29
    arrows = {name: values for name, values in steps.arrays.items() if "arrow" in name}
    early = {name: np.where(np.arange(30) > 19, np.nan, values) for name, values in arrows.items()}
    early["arrow_norm"][-1, 19], early["gradient_norm"] = 0.0, steps.arrays["gradient_norm"]
    assert source_of(steps.facts["paths"], early) == 19


def test_a_picture_is_there_before_any_script_runs():
    page = str(river([made_up.record()]))
    first = page.index(f'<svg viewBox="0 0 {FIRST_WIDTH:g} ')
    assert first < page.index(">memory c<") < page.index("<script")


def test_a_cell_without_highway_has_a_dry_bed():
    dry, wet = (river_svg(made_up.record(cell, 20)) for cell in ("RNN", "LSTM"))
    assert 'class="dry"' in dry and 'class="water"' not in dry and 'class="blade"' not in dry
    assert 'class="water"' in wet and 'class="blade"' in wet
    assert 'class="blade"' not in river_svg(made_up.record("NoForget", 20))


def test_formats_end_where_numpy_rounds_to_zero():
    for name, kind in (("float64", np.float64), ("float32", np.float32), ("float16", np.float16)):
        # Twice the logarithm's last digit, 5e-4, to either side.
        assert kind(10.0 ** (FORMATS[name] - 1e-3)) == 0
        if name != "float64":
            assert kind(10.0 ** (FORMATS[name] + 1e-3)) > 0
    smallest = float(np.finfo(np.float32).smallest_normal) * 2.0**-7
    assert 10.0 ** FORMATS["bfloat16"] == pytest.approx(smallest / 2, rel=2e-3)


def test_a_closed_dam_leaves_nothing_open():
    def blades(keep: float) -> float:
        picture = river_svg(made_up.record("LSTM", 9, keep=keep))
        return sum(float(found) for found in re.findall(r'height="([\d.]+)" class="blade"', picture))

    assert blades(0.05) > blades(0.5) > blades(0.99)
