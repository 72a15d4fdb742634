"""A trained model by the conventions of Hugging Face: a folder with config.json and model.safetensors, no pickle."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from safetensors.torch import save
from torch import nn

from headgate.tasks.bench_task import BenchTask, Encoding
from headgate.tasks.settings import Layers, Learning
from headgate.training import atomic
from headgate.training.bench_run import WEIGHTS, Run, as_json, read_json, trained_network
from headgate.training.fields import SWITCHES, Chosen, build
from headgate.training.run_config import find_task, versions
from headgate.verbs.prediction import Data, predict

CONFIG, SCHEMA, LIBRARY = "config.json", 1, "headgate"


@dataclass(frozen=True)
class Model:
    """A trained model apart from the run that made it.

    Attributes:
        task, chosen: what it does, and with which settings.
        encoding: what turns examples into numbers.
        network: in evaluation mode.
    """

    task: BenchTask
    chosen: Chosen
    encoding: Encoding
    network: nn.Module

    @property
    def options(self) -> Any:
        return self.chosen.options

    def predict(self, data: Data, **settings: Any) -> Iterator[dict[str, Any]]:
        """As `headgate.predict`."""
        return predict(self, data, **settings)

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write config.json and model.safetensors into a folder, made if it is not there.

        Raises:
            OSError: it cannot be written.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        chosen = {name: dataclasses.asdict(getattr(self.chosen, name)) for name in ("options", "layers", "learning")}
        facts = {"library_name": LIBRARY, "schema": SCHEMA, "task": self.task.name, **chosen}
        atomic.write(folder / WEIGHTS, save(atomic.plain(dict(self.network.state_dict())), {"format": "pt"}))
        atomic.write(folder / CONFIG, as_json(facts | {"versions": versions(), "encoding": self.encoding}))
        return folder

    @classmethod
    def from_pretrained(cls, where: str | Path, revision: str | None = None) -> Model:
        """Read a folder that `save_pretrained` wrote, or a repository of the Hugging Face hub.

        Args:
            where: a folder, or a repository as "owner/name".
            revision: of the repository: a branch, a tag or a commit.

        Raises:
            ValueError: there is none, or it is damaged or no model of headgate's.
        """
        folder = Path(where)
        if not folder.is_dir():
            folder = _fetched(str(where), revision)
        facts = read_json(folder / CONFIG)
        if not isinstance(facts, dict) or facts.get("library_name") != LIBRARY or facts.get("schema") != SCHEMA:
            raise ValueError(f"{folder / CONFIG} is no model of this version of headgate.")
        try:
            task, switches = find_task(facts["task"]), facts["layers"].pop(SWITCHES)
            who = str(folder / CONFIG)
            layers = dataclasses.replace(build(Layers, facts["layers"], who), switches=switches)
            learning = build(Learning, facts["learning"], who)
            chosen = Chosen(build(task.Options, facts["options"], who), layers, learning)
            encoding = facts["encoding"]
        except (KeyError, AttributeError, TypeError) as reason:
            raise ValueError(f"{folder / CONFIG} is damaged ({reason}).") from None
        return cls(task, chosen, encoding, trained_network(task, encoding, chosen.options, layers, folder / WEIGHTS))

    @classmethod
    def of_run(cls, run: str | Path | Run) -> Model:
        """A run's best model.

        Raises:
            ValueError: it holds none, or a damaged one.
        """
        run = run if isinstance(run, Run) else Run.load(run)
        return cls(run.task, run.config.chosen, run.encoding, run.network())


def load(where: str | Path, revision: str | None = None) -> Model:
    """A trained model: from a run's folder, from one that `save_pretrained` wrote, or from the Hugging Face hub.

    Raises:
        ValueError: there is none, or it is damaged.
    """
    if (Path(where) / CONFIG).is_file() or not Path(where).is_dir():
        return Model.from_pretrained(where, revision)
    return Model.of_run(where)


def _fetched(repository: str, revision: str | None) -> Path:
    try:
        found = huggingface_hub.snapshot_download(repository, revision=revision, allow_patterns=[CONFIG, WEIGHTS])
    except (HFValidationError, HfHubHTTPError, OSError) as reason:
        line = " ".join(str(reason).split())[:160]
        raise ValueError(f"{repository} is no folder, and the Hugging Face hub gave no such model ({line}).") from None
    return Path(found)
