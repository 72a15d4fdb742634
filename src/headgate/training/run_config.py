"""config.toml: all that repeats a run of the bench, in one file that one can read."""

from __future__ import annotations

import dataclasses
import platform
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w
import torch

from headgate import __version__
from headgate.data import Splits
from headgate.data.cache import digest
from headgate.tasks import bench
from headgate.tasks.bench_task import BenchTask
from headgate.tasks.settings import Layers, Learning
from headgate.training import atomic
from headgate.training.fields import SWITCHES, Chosen, build, fields_of

SCHEMA, KIND, CONFIG = 1, "bench", "config.toml"
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class RunConfig:
    """What a run was asked for.

    Attributes:
        task: a task's name.
        chosen: its settings.
        data: by split, the paths and digests of its files; none for what was held out of the training files.
        devices: processes that learned together.
        watch: whether the layers were watched.
        minutes: of training that are enough; None for no limit.
        found_rate: whether the learning rate was found, not given.
        versions: of what computed it.
    """

    task: str
    chosen: Chosen
    data: Mapping[str, list[dict[str, str]]]
    devices: int = 1
    watch: bool = True
    minutes: float | None = None
    found_rate: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write config.toml.

        Raises:
            OSError: it cannot be written.
        """
        chosen = self.chosen
        facts = {
            "schema": SCHEMA,
            "kind": KIND,
            "task": self.task,
            "devices": self.devices,
            "watch": self.watch,
            "found_rate": self.found_rate,
            "options": _said(chosen.options),
            "layers": _said(chosen.layers) | {SWITCHES: dict(chosen.layers.switches)},
            "learning": _said(chosen.learning),
            "data": self.data,
            "versions": self.versions,
        }
        facts |= {} if self.minutes is None else {"minutes": self.minutes}
        atomic.write(folder / CONFIG, tomli_w.dumps(facts))

    @classmethod
    def load(cls, folder: str | Path) -> RunConfig:
        """Read it back.

        Raises:
            ValueError: there is none, it is damaged, or of another kind or schema.
        """
        path = Path(folder) / CONFIG
        facts = read(folder)
        if facts.get("schema") != SCHEMA or facts.get("kind") != KIND:
            raise ValueError(f"{path} was not written by `headgate train` of this version; train the model again.")
        try:
            task = find_task(facts["task"])
            switches = dict(facts["layers"].pop(SWITCHES))
            options = build(task.Options, _whole(task.Options, facts["options"]), str(path))
            layers = dataclasses.replace(build(Layers, facts["layers"], str(path)), switches=switches)
            learning = build(Learning, _whole(Learning, facts["learning"]), str(path))
            rest = {name: facts[name] for name in ("devices", "watch", "found_rate", "versions")}
            data = {part: facts["data"][part] for part in PARTS}
            chosen = Chosen(options, layers, learning)
            return cls(task.name, chosen, data, minutes=facts.get("minutes"), **rest)
        except (KeyError, AttributeError, TypeError) as reason:
            raise ValueError(f"{path} is damaged ({reason}); train the model again.") from None

    def splits(self) -> Splits:
        """The run's files.

        Raises:
            ValueError: one is gone, or no longer what it was.
        """
        for part in PARTS:
            for file in self.data[part]:
                if not Path(file["path"]).is_file():
                    raise ValueError(f"{file['path']}, which the run was trained with, is gone; give the data again.")
                if digest(file["path"]) != file["digest"]:
                    raise ValueError(f"{file['path']} is not what the run was trained with; give the data again.")
        return Splits(**{part: tuple(Path(file["path"]) for file in self.data[part]) for part in PARTS})


def described(splits: Splits) -> dict[str, list[dict[str, str]]]:
    """Files with their digests, as a config keeps them.

    Raises:
        DataError: one cannot be read.
    """
    found = {part: getattr(splits, part) for part in PARTS}
    return {
        part: [{"path": str(path.absolute()), "digest": digest(path)} for path in paths]
        for part, paths in found.items()
    }


def versions() -> dict[str, str]:
    """What numbers may hang on."""
    return {"headgate": __version__, "torch": torch.__version__, "python": platform.python_version()}


def read(folder: str | Path) -> dict[str, Any]:
    """A folder's config.toml, whoever wrote it.

    Raises:
        ValueError: there is none, or it is no TOML.
    """
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise ValueError(f"{folder} holds no {CONFIG}; give the folder of a run.")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as reason:
        raise ValueError(f"{path} is damaged ({reason}); train the model again.") from None


def find_task(name: str | BenchTask) -> BenchTask:
    """A task by name, or itself.

    Raises:
        ValueError: no such task.
    """
    if isinstance(name, BenchTask):
        return name
    try:
        return bench.get(name)
    except KeyError as reason:
        raise ValueError(reason.args[0]) from None


def _said(settings: Any) -> dict[str, Any]:
    """Settings that TOML can hold: it has no word for None, so what is None is left out."""
    values = {one.name: getattr(settings, one.name) for one in fields_of(type(settings))}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items() if v is not None}


def _whole(owner: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they were: what could be None and is not there was None."""
    return {one.name: None for one in fields_of(owner) if one.optional} | dict(given)
