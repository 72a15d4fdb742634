"""A run's folder, read: what was asked, what was learned, what came of it.

    config.toml         what repeats the run
    encoding.json       vocabulary, labels, scaler: what turns examples into numbers
    model.safetensors   the best weights
    metrics.jsonl       a line a validation
    results.json        metrics of the best weights beside the baseline's
    last.ckpt           where training stands, to go on from
    record/, report.html, events/  the watch, its page, TensorBoard
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from headgate.data.example import DataError
from headgate.tasks.bench_task import BenchTask, Encoding
from headgate.training import run_config
from headgate.training.run_config import RunConfig

ENCODING, WEIGHTS, METRICS, RESULTS = "encoding.json", "model.safetensors", "metrics.jsonl", "results.json"
LAST, RECORDS, EVENTS, REPORT = "last.ckpt", "record", "events", "report.html"


@dataclass(frozen=True)
class Run:
    """A run of the bench, as `headgate.train` returns it.

    Attributes:
        folder: where it lies.
        config: what was asked.
        encoding: what turns examples into numbers.
    """

    folder: Path
    config: RunConfig
    encoding: Encoding

    @classmethod
    def load(cls, folder: str | Path) -> Run:
        """Read a run's folder; its weights are read when they are asked for.

        Raises:
            ValueError: it holds no run, or a damaged one.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise ValueError(f"{folder} is no folder; give one that `headgate train` wrote.")
        config = RunConfig.load(folder)
        return cls(folder, config, read_json(folder / ENCODING))

    @property
    def task(self) -> BenchTask:
        return run_config.find_task(self.config.task)

    @property
    def options(self) -> Any:
        return self.config.chosen.options

    def network(self) -> nn.Module:
        """The best network, in evaluation mode.

        Raises:
            ValueError: there are no weights yet, or they are not this run's.
        """
        return trained_network(
            self.task, self.encoding, self.options, self.config.chosen.layers, self.folder / WEIGHTS
        )

    @property
    def results(self) -> dict[str, Any]:
        """Metrics of the best weights, and the baseline's beside them; empty before training has ended."""
        path = self.folder / RESULTS
        return read_json(path) if path.is_file() else {}

    @property
    def history(self) -> list[dict[str, Any]]:
        """A dict a validation."""
        return whole_lines(self.folder / METRICS)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, task={self.config.task!r})"


def trained_network(task: BenchTask, encoding: Encoding, options: Any, layers: Any, weights: Path) -> nn.Module:
    """A task's network with weights from a file, in evaluation mode.

    Raises:
        ValueError: the file is missing or damaged, or holds another network's weights.
    """
    if not weights.is_file():
        raise ValueError(f"{weights.parent} holds no {weights.name}: training has not come to its first validation.")
    try:
        found = load_file(weights)
    except (SafetensorError, OSError) as reason:
        raise ValueError(f"{weights} is damaged ({reason}); train the model again.") from None
    with torch.random.fork_rng(devices=[]):
        network = task.network(encoding, options, layers)
    fit_weights(network, found, weights)
    return network.eval()


def fit_weights(network: nn.Module, weights: dict[str, Any], where: str | Path) -> None:
    """Load weights into a network.

    Raises:
        ValueError: they are another's: of another vocabulary, other labels, other layers.
    """
    own = network.state_dict()
    for name in sorted(own.keys() | weights.keys()):
        mine, theirs = (list(part[name].shape) if name in part else None for part in (own, weights))
        if mine != theirs:
            raise ValueError(
                f"{where} does not belong to this run: its {name} has shape {theirs or 'none'}, but vocabulary, labels "
                f"and layers of the run make {mine or 'none'}."
            )
    network.load_state_dict(weights)


def read_json(path: Path) -> Any:
    """JSON from a file.

    Raises:
        ValueError: it is not there, or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path.parent} holds no {path.name}; give a folder that `headgate train` wrote.") from None
    except (ValueError, OSError) as reason:
        raise DataError(f"{path} is damaged ({reason}); train the model again.") from None


def as_json(value: Any) -> str:
    """Text of JSON types, for a file."""
    return json.dumps(value, indent=1, allow_nan=False) + "\n"


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of JSON lines up to the first that is torn, as a process that was killed leaves it."""
    found: list[dict[str, Any]] = []
    if path.is_file():
        for line in path.read_bytes().split(b"\n"):
            try:
                found.append(json.loads(line))
            except ValueError:
                break
    return found
