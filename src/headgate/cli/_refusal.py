"""What a verb says when it will not go on: one sentence, exit code 2."""

from __future__ import annotations

import importlib.util


class Refusal(Exception):
    """The message is one sentence for the person at the keyboard; nothing has been written."""


def need(extra: str, *modules: str) -> None:
    """Refuse if modules of an extra are not installed.

    Raises:
        Refusal: names them, and the command that installs them.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise Refusal(f"this needs {' and '.join(missing)}; pip install 'headgate[{extra}]' brings it.")
