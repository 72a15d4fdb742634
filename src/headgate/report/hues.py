"""Colours: one fixed hue and dash for each path, viridis for magnitudes, in a light and a dark set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files

from markupsafe import Markup

HUES = 8
# The paths' hues differ in lightness as well, so that neither missing cones nor a gray copy makes two of them one.
LIGHT = {
    "paper": "#ffffff", "ink": "#1c2127", "faint": "#56616c", "rule": "#d9dee3", "wash": "#f5f7f9",
    "good": "#0b6b45", "warn": "#865700", "bad": "#a8321d", "focus": "#0057b8",
    "c0": "#d55e00", "c1": "#02854a", "c2": "#0068ad", "c3": "#9a257f",
    "c4": "#5a3f00", "c5": "#2f87c1", "c6": "#32373c", "c7": "#8750ec",
}  # fmt: skip
DARK = {
    "paper": "#14181d", "ink": "#e6eaee", "faint": "#a7b2bd", "rule": "#333b44", "wash": "#1c2229",
    "good": "#5fd0a0", "warn": "#f0c05a", "bad": "#ff9a85", "focus": "#7db8ff",
    "c0": "#e8823b", "c1": "#2defb3", "c2": "#63b5f5", "c3": "#bf73a7",
    "c4": "#fbea73", "c5": "#a2d2f6", "c6": "#babfc7", "c7": "#a182ff",
}  # fmt: skip
SCHEMES = {"light": LIGHT, "dark": DARK}
# A path keeps its hue from cell to cell where it plays the same part: what keeps, what lets in, what is written.
PATHS = {"highway": 2, "f": 0, "z": 0, "i": 1, "r": 1, "g": 3, "n": 3, "o": 4, "readout": 6}
OTHERS = (7, 5, 4, 1, 3, 0)


def hue(path: str, paths: Sequence[str] = ()) -> int:
    """The number of a path's hue; a name that has none of its own takes the next free one of its cell."""
    if path in PATHS:
        return PATHS[path]
    unknown = [name for name in paths if name not in PATHS]
    taken = {PATHS[name] for name in paths if name in PATHS}
    free = [number for number in OTHERS if number not in taken] or list(OTHERS)
    return free[unknown.index(path) % len(free)] if path in unknown else free[0]


def style(path: str, paths: Sequence[str] = ()) -> str:
    """CSS classes of a path's line: its hue, and a dash of its own for those who do not see hues."""
    number = hue(path, paths)
    return f"s{number} dash{number}"


def variables() -> Markup:
    """The two sets as CSS variables: by the reader's system, or as chosen on the page."""
    light, dark = (" ".join(f"--{name}: {value};" for name, value in scheme.items()) for scheme in (LIGHT, DARK))
    numbers = " ".join(f".s{k} {{ --hue: var(--c{k}); }}" for k in range(HUES))
    return Markup(
        f":root {{ color-scheme: light dark; {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
        f':root[data-theme="light"] {{ color-scheme: light; {light} }}\n'
        f':root[data-theme="dark"] {{ color-scheme: dark; {dark} }}\n'
        f"{numbers}\n"
    )


def chart_style() -> str:
    """How the marks of a chart look, in CSS variables."""
    folder = files("headgate.report") / "templates"
    return "".join((folder / name).read_text(encoding="utf-8") for name in ("chart.css", "watch_chart.css"))


def settled(css: str, scheme: str = "light") -> str:
    """CSS with every variable replaced by its colour, for programs that draw SVG but know no variables.

    Args:
        css: flat rules; in a rule that says `var(--hue)`, the class that gives the hue stands on the element itself.
        scheme: "light" or "dark".
    """
    colours, written = SCHEMES[scheme], []
    for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", css):
        names = [name.strip() for name in selectors.split(",")]
        lines = [line.strip() for line in body.split(";") if line.strip()]
        written.append((", ".join(names), "; ".join(line for line in lines if "var(--hue)" not in line)))
        for k in range(HUES if "var(--hue)" in body else 0):
            own = ", ".join(f"{name}.s{k}" for name in names)
            hued = "; ".join(line for line in lines if "var(--hue)" in line)
            written.append((own, hued.replace("var(--hue)", colours[f"c{k}"])))
    text = "\n".join(f"{selectors} {{ {body} }}" for selectors, body in written if body)
    return re.sub(r"var\(--(\w+)\)", lambda found: colours[found.group(1)], text)
