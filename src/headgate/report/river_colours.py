"""The picture's own colours beside those of the paths: water, banks and dams, in a light and a dark set."""

from __future__ import annotations

import re

from markupsafe import Markup

from headgate.report.hues import HUES, SCHEMES

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


def variables(selector: str, page: bool = True) -> Markup:
    """CSS variables of both sets under a selector: by the reader's system, or, in a page, as it was told to look."""
    light, dark = (" ".join(f"--{n}: {v};" for n, v in colours(scheme).items()) for scheme in ("light", "dark"))
    if not page:
        return Markup(f"{selector} {{ {light} }}\n@media (prefers-color-scheme: dark) {{ {selector} {{ {dark} }} }}\n")
    return Markup(
        f"{selector} {{ {light} }}\n"
        f'@media (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) {selector} {{ {dark} }} }}\n'
        f':root[data-theme="dark"] {selector} {{ {dark} }}\n'
    )


def colours(scheme: str) -> dict[str, str]:
    """All of the picture's colours by the names of their variables, "light" or "dark"."""
    page = SCHEMES[scheme]
    return {f"{n}-r": page[n] for n in SHARED} | {f"h{k}": page[f"c{k}"] for k in range(HUES)} | OWN[scheme]


def settled(css: str, scheme: str) -> str:
    """Flat rules with every variable replaced by what it stands for, for programs that know none.

    A rule that asks for the hue becomes one for each hue: in "root group mark" the group carries its class, in
    "root mark" something between the two.
    """
    known, written, carried = colours(scheme), [], {}
    rules = re.findall(r"([^{}]+)\{([^{}]*)\}", css)
    for selector, body in rules:
        if found := re.search(r"\.s(\d)\s*$", selector):
            carried[found[1]] = dict(re.findall(r"--(\w+):\s*([^;]+);", body))
    for selector, body in rules:
        if "var(--hue)" not in body and "var(--dash)" not in body:
            if "--hue" not in body:
                written.append((selector.strip(), body))
            continue
        for number, own in carried.items():
            names = ", ".join(_below(name.split(), number) for name in selector.split(","))
            written.append((names, body.replace("var(--hue)", own["hue"]).replace("var(--dash)", own["dash"])))
    text = "\n".join(f"{selector} {{{body}}}" for selector, body in written)
    return re.sub(r"var\(--([\w-]+)\)", lambda found: known[found[1]], text)


def _below(names: list[str], hue: str) -> str:
    root, *group, mark = names
    return f"{root} {''.join(group)}.s{hue} {mark}"
