"""Pages of many layers: what a layer weighs, and that a page says so, and warns, where no coarser drawing helps."""

from __future__ import annotations

import re
import warnings

import pytest
from markupsafe import Markup
from report import made_up_watch as made
from report.markup import read

from headgate.report import watch_page
from headgate.report.watch_page import DETAILS, MOST_BYTES, SMALL_BYTES, render, write_watch_report

# What the charts of a layer of 512 units over 1,000 steps may weigh with the least detail, so that a dozen of them and
# the picture of the network pass for one page.
CHARTS_BYTES = 650_000
LINE = r"<p>The page is [\d.]+ MB with the least detail, [^<]*</p></footer>"


def layers(count: int, *, hidden: int = 512, steps: int = 1000) -> list:
    kinds = {"hidden": hidden, "steps": steps, "longest": 0.6 * steps, "rate": 0.99}
    return [made.record("LSTM", name=f"encoder.{k}", seed=k, **kinds) for k in range(count)]


@pytest.fixture(scope="module")
def sizes() -> dict[int, int]:
    """Bytes of small pages with the least detail, by their layers, before anything is said about them."""
    found = {}
    for count in (1, 3):
        records = layers(count, hidden=16, steps=40)
        picture = watch_page._river(records)
        page = watch_page._render(records, watch_page.TITLE, True, DETAILS[-1], picture, packed=count > 1)
        found[count] = len(page.encode())
    return found


def test_a_dozen_layers_of_ordinary_size_make_a_page(monkeypatch):
    monkeypatch.setattr(watch_page, "DETAILS", DETAILS[-1:])
    monkeypatch.setattr(watch_page, "_river", lambda *records: (Markup(""), "left out"))
    one, two = (len(render(layers(count)).encode()) for count in (1, 2))
    assert CHARTS_BYTES / 2 < two - one < CHARTS_BYTES and one + 11 * CHARTS_BYTES < 0.8 * MOST_BYTES


def test_a_page_that_no_coarser_drawing_makes_small_warns_and_says_so(monkeypatch, tmp_path, sizes):
    """As little as one byte is too much, and the line that says so ends the page."""
    records = layers(3, hidden=16, steps=40)
    monkeypatch.setattr(watch_page, "SMALL_BYTES", sizes[3] - 1)
    words = r"^write_watch_report: the page is [\d.]+ MB .*; give about 2 at once to stay under"
    with pytest.warns(UserWarning, match=words) as told:
        page = write_watch_report(records, tmp_path).read_text()
    assert len(told) == 1 and told[0].filename == __file__
    said = str(told[0].message).removeprefix("write_watch_report: the page ")
    assert f"is {sizes[3] / 1e6:.1f} MB" in str(told[0].message) and f"{sizes[3] / 3e6:.1f} MB of" in said
    assert len(re.findall(LINE, page)) == 1 and f"The page {said}</p></footer>" in page
    assert read(page)


def test_a_page_that_is_small_enough_says_nothing(monkeypatch, tmp_path, sizes):
    monkeypatch.setattr(watch_page, "SMALL_BYTES", sizes[3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = write_watch_report(layers(3, hidden=16, steps=40), tmp_path).read_text()
    assert len(page.encode()) == sizes[3] and not re.search(LINE, page)


def test_one_layer_alone_is_told_to_be_shorter(monkeypatch, sizes):
    monkeypatch.setattr(watch_page, "SMALL_BYTES", sizes[1] - 1)
    with pytest.warns(UserWarning, match="watch shorter sequences"):
        assert re.search(LINE, render(layers(1, hidden=16, steps=40)))


def test_detail_goes_first(monkeypatch, sizes):
    """A page that coarser drawing does make small is drawn coarser, and says nothing."""
    whole = len(render(layers(1, hidden=150, steps=150)).encode())
    monkeypatch.setattr(watch_page, "SMALL_BYTES", whole - 1)
    assert len(render(layers(1, hidden=150, steps=150)).encode()) < whole < SMALL_BYTES


def test_a_page_that_is_far_too_large_is_refused(monkeypatch, sizes):
    monkeypatch.setattr(watch_page, "SMALL_BYTES", 1000)
    monkeypatch.setattr(watch_page, "MOST_BYTES", sizes[3] - 1)
    with pytest.raises(ValueError, match=r"write_watch_report: the page of 3 layers would be \d+ MB; give fewer"):
        render(layers(3, hidden=16, steps=40))
