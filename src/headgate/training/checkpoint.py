"""last.ckpt: where training stands, so that it goes on to the very same numbers. Read without running code."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from headgate.data.cache import key
from headgate.training import atomic
from headgate.training.bench_run import LAST, fit_weights
from headgate.training.lesson import Lesson, Standing, on_cpu, on_device

SCHEMA = 1


def save(lesson: Lesson, folder: Path, encoding: Any, extras: dict[str, Any], world: int) -> None:
    """Write where training stands; every process calls it, the first writes.

    Raises:
        OSError: the disk is full, or the folder cannot be written; what was there stays.
    """
    carried = on_cpu(lesson.carried)
    every = [carried] * world
    if world > 1:
        distributed.all_gather_object(every, carried)
    if lesson.global_rank != 0:
        return
    content = {
        "schema": SCHEMA,
        "encoding": key(encoding),
        "network": on_cpu(dict(lesson.network.state_dict())),
        "optimiser": on_cpu(lesson.optimizers().optimizer.state_dict()),
        "standing": asdict(lesson.standing),
        "carried": every,
        "extras": extras,
    }
    atomic.write_torch(folder / LAST, content)


def load(folder: Path, encoding: Any, world: int) -> dict[str, Any] | None:
    """Read what `save` wrote; None if there is nothing to go on from.

    Raises:
        ValueError: it is damaged, another run's, or of another number of processes.
    """
    path = folder / LAST
    if not path.is_file():
        return None
    content = _read(path)
    if content["encoding"] != key(encoding):
        raise ValueError(f"{path} belongs to another run: its vocabulary, labels or scaler are not those of {folder}.")
    if len(content["carried"]) != world:
        raise ValueError(
            f"{path} is of {len(content['carried'])} processes, but {world} were asked for; give --devices "
            f"{len(content['carried'])}."
        )
    return content


def restore(lesson: Lesson, content: dict[str, Any], folder: Path) -> None:
    """Put network and standing back; the optimiser is restored when there is one.

    Raises:
        ValueError: the weights are another network's.
    """
    fit_weights(lesson.network, content["network"], folder / LAST)
    for name, value in content["standing"].items():
        setattr(lesson.standing, name, value)


def restore_rest(lesson: Lesson, content: dict[str, Any]) -> None:
    """Put back the optimiser, and what the task carried from batch to batch."""
    lesson.optimizers().optimizer.load_state_dict(content["optimiser"])
    lesson.carried = on_device(content["carried"][lesson.global_rank], lesson.device)


def watched(folder: Path) -> dict[str, Any] | None:
    """What the watch saw in training, as `Monitor.load_state_dict` takes it; None if it did not look."""
    path = folder / LAST
    content = _read(path) if path.is_file() else {"extras": {}}
    return content["extras"].get("watch")


def standing_of(content: dict[str, Any] | None) -> Standing:
    """Where training stands by a checkpoint; at the beginning without one."""
    return Standing() if content is None else Standing(**content["standing"])


def _read(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        schema = content["schema"]
    except Exception as reason:  # a file that is cut short or foreign makes torch raise almost anything
        raise ValueError(
            f"{path} is damaged ({type(reason).__name__}), so training cannot go on from it; the best model is still "
            "there, or train anew in another folder."
        ) from None
    if schema != SCHEMA:
        raise ValueError(f"{path} was not written by this version of headgate; train anew in another folder.")
    return content
