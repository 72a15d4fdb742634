"""The picture's own colours beside those of the paths: water, banks and dams, in a light and a dark set."""

from __future__ import annotations

from markupsafe import Markup

from headgate.report.hues import DARK, HUES, LIGHT

OWN = {
    "light": {
        "bed": "#e6ebf0", "water": "#cfe5f7", "bank": "#a3afbb", "blade": "#333d48", "lane": "#f2f5f7",
        "cell": "#ffffff", "wire": "#aab4bf", "here": "rgb(255 196 0 / .16)", "here-edge": "#d99a00",
        "stop": "#b3261e",
    },
    "dark": {
        "bed": "#20272f", "water": "#1b3d5a", "bank": "#525e6a", "blade": "#ccd5dd", "lane": "#1a2027",
        "cell": "#14181d", "wire": "#56626e", "here": "rgb(255 208 80 / .13)", "here-edge": "#e0b13c",
        "stop": "#ff8f80",
    },
}  # fmt: skip
# Colours that the page may have set already, by the name under which the picture knows them.
SHARED = ("paper", "ink", "faint", "rule")


def variables(selector: str) -> Markup:
    """CSS variables of both sets under a selector: by the reader's system, or as the page was told to look."""
    light, dark = (_rules(own, scheme) for own, scheme in ((OWN["light"], LIGHT), (OWN["dark"], DARK)))
    return Markup(
        f"{selector} {{ {light} }}\n"
        f'@media (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) {selector} {{ {dark} }} }}\n'
        f':root[data-theme="dark"] {selector} {{ {dark} }}\n'
    )


def _rules(own: dict[str, str], scheme: dict[str, str]) -> str:
    colours = {f"{name}-r": scheme[name] for name in SHARED} | {f"h{k}": scheme[f"c{k}"] for k in range(HUES)} | own
    return " ".join(f"--{name}: {value};" for name, value in colours.items())
