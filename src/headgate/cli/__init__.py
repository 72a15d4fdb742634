"""Say: one file a verb, found by the files; this one only finds the verb, runs it and turns errors into a sentence.

A file is a verb unless its name begins with an underscore. The help of the whole program is read from the files' text,
so that asking for it imports none of them, and none of what they import.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from headgate.cli._refusal import missing

NEEDED = ("typer", "rich")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: what follows `headgate`; None for the process's own.

    Returns:
        The exit code: 0 done, 1 done but not as it should be, 2 refused, 130 interrupted.
    """
    lacking = missing(*NEEDED)
    if lacking:
        print(f"headgate: {lacking}", file=sys.stderr)
        return 2
    given = sys.argv[1:] if arguments is None else list(arguments)
    return importlib.import_module("headgate.cli._program").run(given)
