"""The unrolled picture's speed selector: in as many frames, the pulse goes as many times further as the choice says."""

from __future__ import annotations

import pytest
from report import made_up_river as made_up
from report.test_river_page import VIEW, page_of

SELECT = "document.querySelector('.river-speed')"
FRAMES, FRAME_MS = 30, 16
# Frames come when we say, so that what is compared is no matter of this machine's pace.
BY_HAND = "window.waiting = []; window.requestAnimationFrame = frame => waiting.push(frame);"
PLAY = f"""(() => {{
  const pulse = {VIEW}.pulse, play = document.querySelector('.river-play');
  pulse.reset();
  play.click();
  for (let k = 0; k < {FRAMES}; k++) waiting.splice(0).forEach(frame => frame(1000 + {FRAME_MS} * k));
  play.click();
  waiting.splice(0).forEach(frame => frame(9e6));
  return pulse.at;
}})()"""


@pytest.fixture
def page(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(page_of([made_up.record("LSTM", 60, keep=0.9)]), encoding="utf-8")
    opened = browser.open(path)
    opened.run(BY_HAND)
    yield opened
    assert opened.errors() == []
    opened.close()


def choices(page) -> list[float]:
    return page.run(f"[...{SELECT}.options].map(option => Number(option.value))")


def travelled(page) -> dict[float, float]:
    """Columns the pulse went in so many frames, by speed; the selector is moved by its keys, from the slowest up."""
    page.run(f"{SELECT}.focus()")
    page.press("Home")
    found = {}
    for _ in choices(page):
        found[page.run(f"Number({SELECT}.value)")] = page.run(PLAY)
        page.press("ArrowDown")
    return found


def assert_in_proportion(way: dict[float, float], pace: float) -> None:
    """Every speed's way is that speed times the pace, which is the way at speed 1."""
    assert way == pytest.approx({speed: speed * pace for speed in way}, rel=1e-9)


def test_a_higher_speed_goes_further_in_as_many_frames(page):
    way = travelled(page)
    assert list(way) == choices(page) == sorted(way) and len(way) == 4
    assert way[1.0] > 0.5
    assert_in_proportion(way, way[1.0])


def test_the_speed_may_change_on_the_way(page):
    """What was walked stays walked; only what follows is faster."""
    page.run(f"{VIEW}.pulse.reset(); document.querySelector('.river-play').click()")
    tick = f"waiting.splice(0).forEach(frame => frame(now += {FRAME_MS}))"
    page.run(f"window.now = 0; {tick}; {tick};")
    at = [page.run(f"{VIEW}.pulse.at")]
    page.run(f"{SELECT}.focus()")
    page.press("End")
    at += [page.run(f"{tick}; {VIEW}.pulse.at") for _ in range(2)]
    assert at[1] - at[0] == pytest.approx(4 * at[0]) == pytest.approx(at[2] - at[1])


def test_the_comparison_can_fail(page):
    """A selector that is not listened to is found out."""
    page.run(f"{SELECT}.parentNode.addEventListener('change', event => event.stopImmediatePropagation(), true)")
    way = travelled(page)
    assert list(way) == choices(page)
    with pytest.raises(AssertionError):
        assert_in_proportion(way, way[1.0])
