"""A trained model on disk: config.toml says how to build it, model.safetensors holds its weights. No pickle."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import tomli_w
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from headgate import cells, tasks
from headgate.cells import Cell
from headgate.training.network import Network

SCHEMA = 1
CONFIG, WEIGHTS = "config.toml", "model.safetensors"
SETTINGS = {"task": str, "cell": str, "hidden_size": int, "seed": int, "steps": int}


@dataclass(frozen=True)
class ModelFolder:
    """What a model is built from.

    Attributes:
        task: a task's name.
        cell: a name of the catalogue, or FILE.py:Class.
        hidden_size: units.
        seed: of weights and training batches.
        steps: training steps taken.
        weights: by the names of the network's `state_dict`.
    """

    task: str
    cell: str
    hidden_size: int
    seed: int
    steps: int
    weights: Mapping[str, Tensor]

    def save(self, folder: str | Path) -> Path:
        """Write both files into a folder, made if it is not there."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        facts = {key: value for key, value in asdict(self).items() if key != "weights"}
        (folder / CONFIG).write_text(tomli_w.dumps({"schema": SCHEMA, **facts}), encoding="utf-8")
        # Copies, since safetensors refuses weights that share memory.
        plain = torch.contiguous_format
        copied = {name: value.detach().clone(memory_format=plain) for name, value in self.weights.items()}
        save_file(copied, folder / WEIGHTS)
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> ModelFolder:
        """Read a folder back.

        Raises:
            ValueError: it holds no model, a damaged one, or one of another schema.
        """
        folder = Path(folder)
        for part in (CONFIG, WEIGHTS):
            if not (folder / part).is_file():
                raise ValueError(f"{folder} holds no {part}; give a folder of a trained model.")
        try:
            config = tomllib.loads((folder / CONFIG).read_text(encoding="utf-8"))
            weights = load_file(folder / WEIGHTS)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, SafetensorError) as reason:
            raise ValueError(f"the model in {folder} is damaged ({reason}); train it again.") from None
        if config.pop("schema", None) != SCHEMA:
            raise ValueError(f"{folder / CONFIG} was not written by this version of headgate; train the model again.")
        for name, kind in SETTINGS.items():
            value = config.get(name)
            # Of whole numbers, none is below 0; True is none.
            if type(value) is not kind or (kind is int and value < (name == "hidden_size")):
                raise ValueError(f"{folder / CONFIG}: {name} is {value!r}, which it cannot be; train the model again.")
        unknown = sorted(config.keys() - SETTINGS)
        if unknown:
            raise ValueError(f"{folder / CONFIG} has a setting {unknown[0]!r}, which is not known; train it again.")
        return cls(**config, weights=weights)

    def network(self) -> Network:
        """The model, in evaluation mode. A cell of the user's own is run from its file.

        Raises:
            ValueError: the weights are not those of such a network, or the cell's own file cannot be used.
            KeyError: no such task or cell.
        """
        task = tasks.get(self.task)
        cell = self._own_cell() if ":" in self.cell else cells.get(self.cell)
        with torch.random.fork_rng(devices=[]):
            network = Network(cell, task.input_size, self.hidden_size, task.output_size, task.reads)
        try:
            network.load_state_dict(dict(self.weights))
        except RuntimeError as reason:
            first = str(reason).partition("\n\t")[2].partition("\n")[0]
            raise ValueError(f"the model's weights do not fit its settings: {first}") from None
        return network.eval()

    def _own_cell(self) -> Cell:
        try:
            return cells.load(self.cell)
        except Exception as error:  # the file is Python, and may raise anything
            raise ValueError(f"the model's cell {self.cell} cannot be used: {type(error).__name__}: {error}") from None
