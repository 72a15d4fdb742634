"""headgate.check: what files hold, and what about them would spoil a model, before anything is trained."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from charset_normalizer import from_bytes

from headgate.data import DataError, Example, Splits, find_splits
from headgate.data.text import opened
from headgate.tasks.bench_task import BenchTask
from headgate.training.fields import Chosen, sort_out
from headgate.training.preparing import guess, prepare
from headgate.training.run_config import PARTS, find_task

# What a beginning tells of a file's encoding.
BEGINNING = 65_536


def check(
    data: str | Path,
    task: str | None = None,
    *,
    validation: str | Path | None = None,
    test: str | Path | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Read files as `train` would, and say what was found.

    What `train` would refuse is among the findings; what it would begin with is kept, so that it begins at once.

    Args:
        data: a file or a folder; see `find_splits`.
        task: a name; None: guessed.
        validation, test: files of their own.
        settings: fields of the task's `Options`.

    Returns:
        JSON types. "task" and "why" it was taken; "files", by split, with bytes and encoding; "splits", what the task
        says of each, with "rows", "duplicates" (rows whose input and answer stood before) and "first_duplicate";
        "leakage": by pair of splits, how many inputs of the second stand in the first; "findings": sentences about
        what ought to be mended.

    Raises:
        DataError: a file or a row cannot be used; file, line and column are named.
        ValueError: no such task or setting.
    """
    splits = find_splits(data, validation, test)
    if task is None:
        chosen, fit = guess(splits.train[0])
        why = fit.why
    else:
        chosen, why = find_task(task), "it was asked for"
    asked = sort_out(chosen, settings)
    options = asked.options
    paths = {part: getattr(splits, part) for part in PARTS if getattr(splits, part)}
    seen = {part: Seen(chosen.read(files, options)) for part, files in paths.items()}
    found = {part: chosen.describe(rows) | rows.facts() for part, rows in seen.items()}
    leaks = _leakage(seen)
    return {
        "task": chosen.name,
        "why": why,
        "files": {part: [_file(path) for path in files] for part, files in paths.items()},
        "splits": found,
        "leakage": leaks,
        "findings": [*_findings(found, leaks), *chosen.differences(found), *_refusals(chosen, splits, asked)],
    }


class Seen:
    """Examples on their way to a task's `describe`, each remembered by a digest of eight bytes."""

    def __init__(self, examples: Iterable[Example]) -> None:
        self._examples = examples
        self.inputs: set[bytes] = set()
        self._whole: dict[bytes, None] = {}
        self._rows = self._duplicates = 0
        self._first: str | None = None

    def __iter__(self) -> Iterator[Example]:
        for example in self._examples:
            input = digest(example.input)
            whole = digest([input, example.target])
            if whole in self._whole:
                self._duplicates += 1
                self._first = self._first or str(example.place)
            self._whole[whole] = None
            self.inputs.add(input)
            self._rows += 1
            yield example

    def facts(self) -> dict[str, Any]:
        """What was counted."""
        return {"rows": self._rows, "duplicates": self._duplicates, "first_duplicate": self._first}


def digest(value: Any) -> bytes:
    """Of whatever an example holds: text, numbers, arrays, and containers of them."""
    found = hashlib.blake2b(digest_size=8)
    _feed(found, value)
    return found.digest()


def _feed(into: Any, value: Any) -> None:
    if isinstance(value, np.ndarray) and value.dtype != object:
        into.update(f"{value.dtype.str}{value.shape}".encode())
        into.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Mapping):
        into.update(b"{")
        for name, one in value.items():
            _feed(into, name)
            _feed(into, one)
    elif isinstance(value, (list, tuple, np.ndarray)):
        into.update(f"[{len(value)}".encode())
        for one in value:
            _feed(into, one)
    elif hasattr(value, "__dict__") or hasattr(value, "__slots__"):
        names = getattr(value, "__dict__", None) or {name: getattr(value, name) for name in value.__slots__}
        _feed(into, dict(names))
    else:
        content = value if isinstance(value, bytes) else repr(value).encode()
        into.update(type(value).__name__.encode() + len(content).to_bytes(8) + content)


def _leakage(seen: Mapping[str, Seen]) -> dict[str, int]:
    """Inputs of a split that stand in an earlier one too."""
    parts = [part for part in PARTS if part in seen]
    pairs = [(one, other) for k, one in enumerate(parts) for other in parts[k + 1 :]]
    return {f"{one} and {other}": len(seen[one].inputs & seen[other].inputs) for one, other in pairs}


def _file(path: Path) -> dict[str, Any]:
    with opened(path) as file:
        beginning = file.read(BEGINNING)
    try:
        beginning.decode("utf-8-sig", "strict")
        encoding: str | None = "utf-8"
    except UnicodeDecodeError as error:
        # A sign that the beginning cuts in two is no sign of another encoding.
        whole = error.start < len(beginning) - 4
        best = from_bytes(beginning).best() if whole and b"\0" not in beginning else None
        encoding = best.encoding if best is not None else None if whole else "utf-8"
    return {"path": str(path), "bytes": path.stat().st_size, "encoding": encoding}


def _refusals(task: BenchTask, splits: Splits, chosen: Chosen) -> list[str]:
    """Why training would not begin; where it would, its rows are kept for it."""
    try:
        prepare(task, splits, chosen)
    except DataError as error:
        return [f"training would stop at this: {error}"]
    return []


def _findings(found: Mapping[str, dict[str, Any]], leaks: Mapping[str, int]) -> list[str]:
    said = []
    for part, facts in found.items():
        if facts["duplicates"]:
            share = facts["duplicates"] / facts["rows"]
            said.append(
                f"{part}: {facts['duplicates']:,} of {facts['rows']:,} rows ({share:.1%}) stood before, the first at "
                f"{facts['first_duplicate']}."
            )
    for pair, count in leaks.items():
        if count:
            said.append(f"{count:,} inputs stand in both {pair}: what is measured there is partly memory of answers.")
    return said
