"""headgate.predict: an answer for every row of a file, in its order, as they come."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch

from headgate.data import DataError, find_splits
from headgate.tasks.bench_task import BenchTask
from headgate.training.bench_run import Run

# What standard input may be; the first that a task can read, unless its first line is JSON.
KINDS = (".txt", ".csv", ".tsv", ".conll")
JSON_LINES = ".jsonl"
STANDARD_INPUT = "standard input"


def predict(run: str | Path | Run, data: str | Path | BinaryIO) -> Iterator[dict[str, Any]]:
    """Answer every row with a run's best weights.

    Args:
        run: its folder.
        data: a file, a folder, or something open for bytes, such as `sys.stdin.buffer`: JSON lines, or a row a line.

    Yields:
        One dict a row, in the rows' order, of JSON types; what was unusual about a row stands under "notes".

    Raises:
        DataError: the data cannot be used.
        ValueError: no run, or a damaged one.
    """
    run = run if isinstance(run, Run) else Run.load(run)
    network = run.network()
    with torch.no_grad(), _files(run.task, run.options, data) as paths:
        examples = run.task.read(paths, run.options, answers=False)
        yield from run.task.predict(network, examples, run.encoding, run.options)


@contextmanager
def _files(task: BenchTask, options: Any, data: str | Path | BinaryIO) -> Iterator[list[Path]]:
    """Files to read, and messages that call standard input by its name."""
    if not hasattr(data, "read"):
        splits = find_splits(data)
        yield list(splits.test or splits.train)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = _kept(task, options, data, Path(folder))
        try:
            yield [path]
        except DataError as error:
            raise DataError(str(error).replace(str(path), STANDARD_INPUT)) from None


def _kept(task: BenchTask, options: Any, data: BinaryIO, folder: Path) -> Path:
    """What comes, in a file whose name says what it is."""
    path = folder / f"rows{JSON_LINES}"
    try:
        with path.open("wb") as file:
            shutil.copyfileobj(data, file)
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
