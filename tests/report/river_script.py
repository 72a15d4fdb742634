"""The unrolled picture's script run in node, without a page: what it decodes, lays out, draws and says."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from headgate.report.river import SCRIPTS, template
from headgate.report.river_data import FORMATS, Steps, as_base64, packed
from headgate.report.river_layout import GEOMETRY


def run(expression: str, steps: Steps | None = None, change: tuple[str, str] | None = None):
    """The value of an expression in which `steps`, `G`, `scene(focus, width, more)` and all of the script are known.

    Args:
        expression: JavaScript.
        steps: what the script reads back from its packed form.
        change: a piece of the script, and what is put in its place.
    """
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed, so the page's script cannot be run by itself")
    source = "\n".join(str(template(f"river_{name}.js")) for name in SCRIPTS)
    if change:
        assert source.count(change[0]) == 1, change[0]
        source = source.replace(*change)
    facts, data = packed(steps) if steps else (None, b"")
    known = f"""
        const G = {json.dumps(GEOMETRY)}, formats = {json.dumps(FORMATS)}, facts = {json.dumps(facts)};
        const steps = facts && new Steps(facts, bytesOf("{as_base64(data)}"));
        const state = more => {{
            const formatName = (more && more.formatName) || "float32";
            const usual = {{ path: null, cut: null, direction: "gradient", wording: "plain" }};
            return {{ ...usual, formatName, format: formats[formatName], ...more }};
        }};
        const scene = (focus, width, more) => new Scene(steps, state({{ focus, ...more }}), width, G);
        const plain = (key, value) => ArrayBuffer.isView(value) ? Array.from(value)
            : typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
        console.log(JSON.stringify(({expression}), plain));
    """
    done = subprocess.run([node, "-"], input=f'"use strict";\n{source}\n{known}', capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
