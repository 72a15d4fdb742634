"""What a verb says when it will not go on: one sentence, exit code 2."""

from __future__ import annotations

import importlib.util

# Which extra of ours brings a module.
EXTRAS = {
    "typer": "train",
    "rich": "train",
    "sklearn": "train",
    "safetensors": "train",
    "tomli_w": "train",
    "lightning": "train",
    "tensorboard": "train",
    "jinja2": "report",
    "markupsafe": "report",
    "latex2mathml": "report",
}


class Refusal(Exception):
    """The message is one sentence for the person at the keyboard; nothing has been written."""


def missing(*modules: str) -> str | None:
    """What to install for the first of these modules that is not there, in one sentence; None if all are."""
    lacking = next((name for name in modules if importlib.util.find_spec(name) is None), None)
    return None if lacking is None else advice(lacking)


def advice(module: str) -> str:
    """What to install for a module that is not there."""
    return f"this needs {module}, which is not installed; pip install 'headgate[{EXTRAS[module]}]' brings it."
