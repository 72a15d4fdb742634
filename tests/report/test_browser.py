"""The browser that other tests lean on: it sees errors, keys, clicks and requests."""

from __future__ import annotations

PAGE = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>t</title><button id="b">b</button><script>
document.getElementById("b").addEventListener("click", () => { window.clicked = true; });
addEventListener("keydown", (event) => { window.key = event.key; });
</script></html>"""


def test_it_clicks_and_types(browser, tmp_path):
    (tmp_path / "page.html").write_text(PAGE)
    page = browser.open(tmp_path / "page.html", width=480)
    page.click("#b")
    assert page.run("window.clicked") is True and page.run("innerWidth") == 480
    page.press("ArrowRight")
    assert page.run("window.key") == "ArrowRight"
    page.prefer("dark")
    assert page.run("matchMedia('(prefers-color-scheme: dark)').matches") is True
    assert page.picture(tmp_path / "page.png").read_bytes()[:4] == b"\x89PNG"
    assert page.errors() == [] and len(page.requests()) == 1
    page.close()


def test_it_sees_what_goes_wrong(browser, tmp_path):
    broken = PAGE.replace("</script>", "console.error('said'); nobody.knows();</script><img src='file:///no.png'>")
    (tmp_path / "page.html").write_text(broken)
    page = browser.open(tmp_path / "page.html")
    found = " | ".join(page.errors())
    assert "said" in found and "nobody is not defined" in found
    assert any(address.endswith("no.png") for address in page.requests())
    page.close()
