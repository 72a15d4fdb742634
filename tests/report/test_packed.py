"""Charts of further layers, compressed in a page that would be too large without: the same charts once it is open."""

import warnings

import pytest
from report import made_up_watch as made

from headgate.report import watch_page
from headgate.report.watch_page import DETAILS, SMALL_BYTES, render

LAYERS = "document.querySelector('#layers').innerHTML"
READY = "unpacked.then(() => document.body.dataset.ready)"
NOTE = "charts lie in the page compressed"


def pages(tmp_path_factory, records):
    """The same Records as one page with every chart in plain sight, and as one with the further layers' compressed."""
    picture = watch_page._river(records)
    found = {}
    for name, packed in (("plain", False), ("packed", True)):
        found[name] = tmp_path_factory.mktemp(name) / "watch.html"
        text = watch_page._render(records, watch_page.TITLE, True, DETAILS[-1], picture, packed=packed)
        found[name].write_text(text, encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return pages(tmp_path_factory, made.records())


def opened(browser, path, width=1280):
    page = browser.open(path, width=width)
    assert page.run(READY) == "yes"
    return page


def test_the_same_charts_are_there(browser, both):
    """As the browser reads them, down to every attribute."""
    seen = {}
    for name, path in both.items():
        page = opened(browser, path)
        seen[name] = "\n".join(line for line in page.run(LAYERS).splitlines() if line)
        assert page.errors() == []
        page.close()
    assert seen["plain"] == seen["packed"] and NOTE not in seen["packed"]
    plain, packed = (path.read_text() for path in both.values())
    assert len(packed) < 0.8 * len(plain) and packed.count(NOTE) == len(made.records()) - 1 and NOTE not in plain


def test_controls_work_in_them(browser, both):
    page = opened(browser, both["packed"])
    page.click("#tab-r1")
    assert page.run("document.querySelector('#r1').checkVisibility()")
    assert page.run("[...document.querySelectorAll('#r1 svg.chart')].filter(e => e.checkVisibility()).length") > 10
    page.run("location.hash = '#r2-decay'")
    page.run("new Promise(done => setTimeout(done, 60))")
    assert page.run("document.querySelector('#r2').checkVisibility()")
    assert page.errors() == []
    page.close()


def test_without_what_it_takes_the_page_says_so(browser, both, tmp_path):
    """A browser that cannot decompress shows the first layer, and a note in place of the others."""
    old = tmp_path / "old.html"
    text = both["packed"].read_text().replace("new DecompressionStream", "new NothingOfTheKind")
    old.write_text(text.replace("script-src", "script-src 'unsafe-inline'").replace("'sha256-", "'none-"))
    page = browser.open(old)
    page.click("#tab-r1")
    assert NOTE in page.run("document.querySelector('#r1').textContent")
    assert page.run("document.querySelectorAll('#r0 svg.chart').length") > 10
    page.close()


def test_six_layers_of_ordinary_size_are_small():
    kinds = {"hidden": 512, "steps": 1000, "longest": 600, "rate": 0.99}
    records = [made.record("LSTM", name=f"encoder.{k}", seed=k, **kinds) for k in range(6)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(render(records).encode()) <= SMALL_BYTES


def test_the_same_bytes_from_the_same_records(both):
    records = made.records()
    again = watch_page._render(
        records, watch_page.TITLE, True, DETAILS[-1], watch_page._river(records), packed=True
    )
    assert again == both["packed"].read_text(encoding="utf-8")
