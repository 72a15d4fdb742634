"""The watch's charts put numbers where they belong, and their pictures stand alone."""

from __future__ import annotations

import base64
import io
import math
import re
import struct
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest
from report import made_up_river
from report import made_up_watch as made

from headgate.report.decay import decay, power
from headgate.report.film import even_lags, film
from headgate.report.heatmap import heat, palette, png, quantised
from headgate.report.horizons import horizons, rows, sentence
from headgate.report.hues import DARK, LIGHT, PATHS, hue, settled
from headgate.report.images import charts, standalone, write_images
from headgate.report.layer import Layer
from headgate.report.path_river import columns, path_river
from headgate.report.plot import Box
from headgate.report.pyramid import extremes, peaks
from headgate.report.scale import Lags, Powers, Steps
from headgate.report.spectrum import inverse_gamma, memory_spectrum
from headgate.report.triangles import connectivity, provenance

BOX = Box(0.0, 0.0, 100.0, 50.0)


def pixels(image: bytes) -> np.ndarray:
    """The bytes of a PNG with a palette, [rows, columns]; written apart from the writer."""
    stream, data, size = io.BytesIO(image[8:]), b"", (0, 0)
    while head := stream.read(8):
        length, kind = struct.unpack(">I4s", head)
        body, check = stream.read(length), struct.unpack(">I", stream.read(4))[0]
        assert check == zlib.crc32(kind + body)
        size = struct.unpack(">II", body[:8]) if kind == b"IHDR" else size
        data += body if kind == b"IDAT" else b""
    table = np.frombuffer(zlib.decompress(data), np.uint8).reshape(size[1], size[0] + 1)
    assert not table[:, 0].any()
    return table[:, 1:]


def test_lags_have_a_place_for_zero_and_round_ticks():
    x = Lags(0.0, 9999.0, 0.0, 400.0)
    ticks = x.ticks()
    assert x(0.0) == 0.0 and x(9999.0) == 400.0 and ticks[0] == (0, "0")
    assert {10, 100, 1000} <= {value for value, _ in ticks}
    places = [x(value) for value, _ in ticks]
    assert min(np.diff(places)) >= 34
    assert [words for _, words in Steps(1.0, 2e6, 0, 400).ticks()][-1] == "1M"
    assert [words for _, words in Powers(-3.2, 1.1, 0, 1).ticks()] == ["10⁻³", "10⁻²", "10⁻¹", "1", "10"]


def test_pooled_lines_keep_their_peaks():
    x = np.arange(10_000.0)
    y = np.sin(x / 500)
    y[[1234, 7777]] = 50.0, -50.0
    short_x, short_y, beside = peaks(x, y, 2 * y)
    assert len(short_x) <= 402 and {1234.0, 7777.0} <= set(short_x)
    assert short_y.max() == 50.0 and short_y.min() == -50.0 and (beside == 2 * short_y).all()
    assert np.all(np.diff(short_x) > 0) and short_x[0] == 0 and short_x[-1] == 9999


def test_pooled_tables_keep_their_peaks_and_their_gaps():
    table = np.zeros((1000, 700))
    table[:4], table[555, 333], table[900, 10] = np.nan, 9.0, -9.0
    small = extremes(table, 64, 50)
    assert small.shape == (64, 50) and np.nanmax(small) == 9.0 and np.nanmin(small) == -9.0
    fine = extremes(np.where(np.arange(1000)[:, None] < 500, np.nan, table), 10, 7)
    assert np.isnan(fine[:5]).all() and np.isfinite(fine[5:]).all()


def test_an_image_holds_the_numbers_it_was_given():
    table = np.array([[0.0, 0.5, 1.0], [np.nan, 2.0, -1.0]])
    cells = quantised(table, 0.0, 1.0)
    assert cells.tolist() == [[0, 127, 254], [255, 254, 0]]
    assert (pixels(png(cells)) == cells).all()
    assert len({tuple(colour) for colour in palette()}) == 255
    drawn = heat(table, BOX, 0.0, 1.0, "words")
    image = base64.b64decode(re.search(r"base64,([^\"]+)", drawn).group(1))
    assert (pixels(image) == cells).all() and 'data-low="0" data-high="1"' in drawn


def test_a_path_keeps_its_hue_and_no_two_of_a_cell_share_one():
    for cell in made.CELLS.values():
        used = [hue(path, cell["paths"]) for path in cell["paths"]]
        assert len(set(used)) == len(used)
    assert hue("f") == hue("z") == PATHS["f"] and hue("own", ["own", "f"]) != hue("f")
    own = [hue(name, ["a", "b", "highway"]) for name in ("a", "b", "highway")]
    assert len(set(own)) == 3


@pytest.mark.parametrize("scheme", (LIGHT, DARK), ids=("light", "dark"))
def test_colours_can_be_read_on_their_ground(scheme):
    """WCAG contrast: 4.5 for words, 3 for marks."""

    def lightness(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for name, colour in scheme.items():
        if name not in ("paper", "rule", "wash"):
            one, two = sorted((lightness(colour), lightness(scheme["paper"])))
            least = 4.5 if name in ("ink", "faint", "good", "warn", "bad") else 3.0
            assert (two + 0.05) / (one + 0.05) >= least, name


def test_horizons_say_what_is_known_and_what_is_not():
    layer = Layer(made.record())
    assert sentence(layer) == "Stores 44 steps, can train at least 59, uses 12; the task needs 45."
    assert [bar.words for bar in rows(layer)] == ["44 steps", "at least 59 steps", "12 steps"]
    unknown = Layer(made.bare())
    assert sentence(unknown).startswith("No horizon could be measured; nobody said how far back")
    facts = made.record().facts
    facts["horizons"]["stored"] = {"max": None, "unbounded": True}
    assert "stores without an end" in sentence(Layer(type(made.record())("x", facts, {}))).lower()
    assert 'class="need"' in horizons(layer).picture and 'class="need"' not in horizons(unknown).picture


def test_the_decay_is_drawn_where_it_is():
    record = made.record(steps=60)
    record.arrays["lag_profile"][1] = -np.arange(60.0) / 20
    figure = decay(Layer(record))
    panel = re.search(r'data-box="([^"]+)" data-x="([^"]+)" data-y="([^"]+)"', figure.picture)
    left, _, right, bottom = map(float, panel.group(1).split())
    points = re.search(r'd="M([^"]+)" class="line ink"', figure.picture).group(1).split("L")
    x, y = (float(v) for v in points[-1].split())
    assert len(points) == 60 and x == pytest.approx(right) and bottom > y
    _, low, high, start, end, *_ = panel.group(3).split()
    value = float(low) + (y - float(start)) / (float(end) - float(start)) * (float(high) - float(low))
    assert value == pytest.approx(-59 / 20, abs=0.02) and left == float(panel.group(2).split()[3])
    assert figure.numbers[-1][:1] == ["59"] and figure.numbers[-1][2] == power(-59 / 20)


def test_numbers_below_every_format_are_written():
    assert [power(v) for v in (0.0, -7.5, -400.25, math.nan)] == ["1.00e+00", "3.16e-08", "5.62e-401", "none"]


def test_number_formats_end_where_their_numbers_do():
    record = made.record("RNN", steps=60, rate=0.2)
    drawn = decay(Layer(record)).picture
    assert "below the normal numbers of float16" in drawn and "float32 and bfloat16" in drawn
    assert 'class="hatch"' in drawn
    far = {name: value for name, value in record.arrays.items() if name != "largest_entry"}
    assert 'class="hatch"' not in decay(Layer(type(record)("x", record.facts, far))).picture


def test_shares_are_stacked_from_zero_and_many_steps_keep_the_one_that_cancels_most():
    cancels = np.ones(10_000)
    cancels[4321] = 9.0
    chosen = columns(cancels)
    assert len(chosen) == 256 and 4321 in chosen
    record = made.record(steps=30)
    record.arrays["arrow_share"][:] = 0.0
    record.arrays["arrow_share"][0], record.arrays["arrow_share"][1] = 1.5, -0.5
    drawn = path_river(Layer(record)).picture
    areas = re.findall(r'd="M([^"]+)Z" class="area (s\d)"', drawn)
    assert [name for _, name in areas] == ["s2", "s1"]
    up, down = ([float(p.split()[1]) for p in area.split("L")] for area, _ in areas)
    assert max(up) == min(down) and (max(up) - min(up)) == pytest.approx(3 * (max(down) - min(down)), rel=0.01)


def test_film_cells_stand_at_their_lags():
    lags = made.lags_of(2000)
    index = even_lags(lags, 256)
    assert index[0] == 0 and index[-1] >= len(lags) - 2 and (np.diff(index) >= 0).all()
    figure = film(Layer(made.record()))
    assert "7 steps at first, 59 at the end" in figure.reading
    assert film(Layer(made.record(film=False))) is None


def test_the_law_of_text_is_a_distribution():
    times = np.array([1e-3, 0.5, 1.0, 10.0, 1e4])
    found = inverse_gamma(times, 0.5)
    expected = [math.erf(math.sqrt(1 / t)) for t in times]  # shape 1/2: P(T > t) = erf(sqrt(1/t))
    np.testing.assert_allclose(found[1:], expected[1:], rtol=1e-9)
    figure = memory_spectrum(Layer(made.record()))
    assert figure.numbers[0][0] == "1" and float(figure.numbers[0][1]) == pytest.approx(43.65, abs=0.01)


def test_content_is_as_old_as_it_is_also_when_time_runs_backwards():
    record = made.record(steps=50)
    held = np.full((50, 50), np.nan)
    held[40:, 49] = -1.0  # ten steps, a tenth each
    record.arrays["provenance"], record.arrays["pieces"] = held, np.arange(50)
    assert "younger than 5 steps" in provenance(Layer(record)).reading
    record.arrays["provenance"] = held[::-1, ::-1].copy()
    record.facts["reverse"] = True
    assert "younger than 5 steps" in provenance(Layer(record)).reading


def test_one_source_alone_makes_no_triangle():
    record = made.record()
    record.arrays["sources"] = np.full(16, -1)
    assert connectivity(Layer(record)) is None
    assert connectivity(Layer(made.record())) is not None


@pytest.mark.parametrize("cell", tuple(made.CELLS))
def test_every_chart_stands_alone(cell, tmp_path):
    found = charts(made.record(cell))
    for name, figure in found.items():
        for scheme in ("light", "dark"):
            text = standalone(figure, scheme)
            root = ElementTree.fromstring(text)
            assert root.tag.endswith("svg") and "var(" not in text and "url(" not in text, name
            assert not re.search(r"\b(nan|inf)\b", re.sub(r"<(style|title).*?</\1>", "", text, flags=re.S)), name


def test_images_are_what_they_say(tmp_path):
    paths = write_images(made.bare(), tmp_path)
    assert [path.name for path in paths] == ["horizons.svg", "horizons.png", "spectrum.svg", "spectrum.png"]
    width, height = struct.unpack(">II", paths[1].read_bytes()[16:24])
    assert width == 2 * 760 and height > 200
    with pytest.raises(ValueError, match="scheme is 'sepia'"):
        write_images(made.bare(), tmp_path, scheme="sepia")


def test_the_unrolled_network_is_an_image_too(tmp_path):
    paths = write_images(made_up_river.record(steps=60), tmp_path, scheme="dark")
    assert {"river.svg", "river.png"} <= {path.name for path in paths}
    text = (tmp_path / "river.svg").read_text()
    assert ElementTree.fromstring(text).tag.endswith("svg") and "var(" not in text


def test_style_without_variables_keeps_every_rule():
    css = ".a { fill: none; stroke: var(--hue); }\n.b { fill: var(--ink); }"
    text = settled(css)
    assert ".a { fill: none }" in text and ".a.s2 { stroke: #0068ad }" in text and ".b { fill: #1c2127 }" in text
