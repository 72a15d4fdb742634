"""headgate.predict: an answer for every row of a file, in its order, as they come."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import torch
from torch import nn

from headgate.data import DataError, find_splits
from headgate.tasks.bench_task import BenchTask, Encoding
from headgate.training.bench_run import Run
from headgate.training.fields import changed
from headgate.verbs import standard_input


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
            line, each answered as it comes if the task can (`BenchTask.by_line`); or rows: strings, or dicts as JSON
            lines would have them.
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
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        for paths, reading, called in _parts(task, options, data, Path(folder)):
            with called:
                examples = task.read(paths, reading, answers=False)
                yield from task.predict(network, examples, found.encoding, options)


def _parts(
    task: BenchTask, options: Any, data: Any, folder: Path
) -> Iterator[tuple[list[Path], Any, AbstractContextManager[None]]]:
    """Files, one lot after another, the options to read each with, and what has messages call it by the user's name."""
    if isinstance(data, (str, Path)):
        splits = find_splits(data)
        yield list(splits.test or splits.train), options, nullcontext()
    elif hasattr(data, "read"):
        for path, reading, before in standard_input.lots(task, options, data, folder):
            yield [path], reading, _called(standard_input.NAME, path, before)
    else:
        path = folder / "rows"
        try:
            with path.open("wb") as file:
                file.writelines(_line(row) for row in data)
        except OSError as reason:
            raise DataError(f"the rows cannot be kept ({reason.strerror or reason}).") from None
        path = standard_input.kept(task, options, path)
        yield [path], options, _called("the rows", path)


@contextmanager
def _called(name: str, path: Path, before: int = 0) -> Iterator[None]:
    """Messages about a file of ours, in the words of who gave the rows; so many lines were before it."""

    def words(found: re.Match[str]) -> str:
        return f"{name}, line {int(found[1]) + before}" if found[1] else name

    try:
        yield
    except DataError as error:
        raise DataError(re.sub(rf"{re.escape(str(path))}(?:, line (\d+))?", words, str(error))) from None


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
