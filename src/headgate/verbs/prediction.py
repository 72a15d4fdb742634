"""headgate.predict: an answer for every row of a file, in its order, as they come."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import torch
from torch import nn

from headgate.data import DataError, find_splits
from headgate.tasks.bench_task import BenchTask, Encoding
from headgate.training.bench_run import Run
from headgate.training.fields import changed

# What standard input may be; the first that a task can read, unless its first line is JSON.
KINDS = (".txt", ".csv", ".tsv", ".conll")
JSON_LINES = ".jsonl"
STANDARD_INPUT = "standard input"


class Trained(Protocol):
    """A trained model, from wherever."""

    task: BenchTask
    options: Any
    encoding: Encoding
    network: nn.Module


Data = str | Path | BinaryIO | Iterable[str | Mapping[str, Any]]


def predict(run: str | Path | Run | Trained, data: Data, **settings: Any) -> Iterator[dict[str, Any]]:
    """Answer every row with a run's best weights.

    Args:
        run: its folder, or a `Model` from `headgate.load`.
        data: a file, a folder; something open for bytes, such as `sys.stdin.buffer`, that gives JSON lines or a row a
            line; or rows: strings, or dicts as JSON lines would have them.
        settings: of the task, to answer with others than training had: `beam`, `quantiles`; see the command's help.

    Yields:
        One dict a row, in the rows' order, of JSON types; what was unusual about a row stands under "notes".

    Raises:
        DataError: the data cannot be used.
        ValueError: no run, or a damaged one; a setting that cannot be changed any more.
    """
    found = Run.load(run) if isinstance(run, (str, Path)) else run
    network = found.network() if isinstance(found, Run) else found.network
    task, options = found.task, changed(found.options, settings, "predict")
    with torch.no_grad(), _files(task, options, data) as paths:
        examples = task.read(paths, options, answers=False)
        yield from task.predict(network, examples, found.encoding, options)


@contextmanager
def _files(task: BenchTask, options: Any, data: Data) -> Iterator[list[Path]]:
    """Files to read, and messages that call standard input by its name."""
    if isinstance(data, (str, Path)):
        splits = find_splits(data)
        yield list(splits.test or splits.train)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = _kept(task, options, data, Path(folder))
        try:
            yield [path]
        except DataError as error:
            name = STANDARD_INPUT if hasattr(data, "read") else "the rows"
            raise DataError(str(error).replace(str(path), name)) from None


def _kept(task: BenchTask, options: Any, data: Any, folder: Path) -> Path:
    """What comes, in a file whose name says what it is."""
    path = folder / f"rows{JSON_LINES}"
    try:
        with path.open("wb") as file:
            if hasattr(data, "read"):
                shutil.copyfileobj(data, file)
            else:
                file.writelines(_line(row) for row in data)
    except OSError as reason:
        raise DataError(f"{STANDARD_INPUT} cannot be kept ({reason.strerror or reason}).") from None
    with path.open("rb") as file:
        first = next((line for line in iter(lambda: file.readline(1 << 20), b"") if line.strip()), b"")
    if first.lstrip().startswith((b"{", b"[")):
        return path
    for kind in KINDS:
        named = path.replace(path.with_suffix(kind))
        if task.fits(named, options).sureness > 0:
            return named
        path = named
    return path.replace(path.with_suffix(KINDS[0]))


def _line(row: str | Mapping[str, Any]) -> bytes:
    """A row as a line of text, or of JSON.

    Raises:
        DataError: it is neither a string nor a dict of JSON types.
    """
    try:
        text = " ".join(row.splitlines()) if isinstance(row, str) else json.dumps(dict(row), allow_nan=False)
    except (TypeError, ValueError) as reason:
        raise DataError(f"{row!r:.80} is no row ({reason}); give a string, or a dict of JSON types.") from None
    return f"{text}\n".encode()
