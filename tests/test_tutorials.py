"""The tutorials do what they say: every command of each runs, in order, and prints what the page shows."""

from __future__ import annotations

import doctest
import io
import re
import shlex
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from headgate.cli import main
from headgate.tasks import bench

DOCS = Path(__file__).resolve().parent.parent / "docs"
TASKS = sorted(file.parent.name for file in Path(bench.__file__).parent.glob("*/__init__.py"))
TUTORIALS = [DOCS / f"{name}.md" for name in TASKS]
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
matches = doctest.OutputChecker().check_output


def commands(block: str) -> list[tuple[str, str]]:
    """Commands and what the page shows below each; a line that ends in a backslash goes on."""
    found: list[list[str]] = []
    for line in block.replace("\\\n", " ").splitlines(keepends=True):
        if line.startswith("$ "):
            found.append([line[2:].strip(), ""])
        else:
            found[-1][1] += line
    return [(command, expected) for command, expected in found]


def run(command: str) -> tuple[int, str]:
    """A line as a shell takes it: one program of ours, with text piped to it or not."""
    echoed, _, rest = command.rpartition(" | ")
    words = shlex.split(rest)
    assert words[0] == "headgate", command
    given = shlex.split(echoed)
    assert not given or given[0] == "echo", command
    out, err, stdin = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO((" ".join(given[1:]) + "\n").encode()), encoding="utf-8")
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = main(words[1:])
    finally:
        sys.stdin = stdin
    return code, out.getvalue() + (err.getvalue() if code else "")


def compare(command: str, code: int, printed: str, expected: str) -> None:
    assert code == 0, f"{command} ended with {code}: {printed}"
    if expected.strip():
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        assert matches(expected, printed, flags), f"{command} printed\n{printed}\nand not\n{expected}"


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    names: dict = {}
    for language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "python":
            exec(compile(text, page.name, "exec"), names)
        else:
            for command, expected in commands(text):
                compare(command, *run(command), expected)


def test_a_page_that_shows_other_words_is_noticed():
    code, printed = run("headgate --version")
    compare("headgate --version", code, printed, "headgate ...\n")
    with pytest.raises(AssertionError, match="and not"):
        compare("headgate --version", code, printed, "tailgate ...\n")
    with pytest.raises(AssertionError, match="ended with 2"):
        compare("headgate nothing", *run("headgate nothing"), "")
