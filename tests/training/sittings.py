"""Training in processes of their own, which can be killed; forked from one that has imported everything."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import torch
from training import tiny_task

from headgate.training import fit, keeper
from headgate.verbs.training import train

# Dropout inside, so that random numbers matter; several batches an epoch, so that most kills fall within one.
SETTINGS = {"epochs": 6, "batch_size": 4, "noise": 0.3, "schedule": "plateau", "zoneout": 0.1}
assert tiny_task.FOLDER


def learn(data: Path, out: Path, resume: bool, more: dict) -> None:
    """What a process does."""
    torch.set_num_threads(1)
    os.environ["XDG_CACHE_HOME"] = str(out.parent / "cache")
    keeper.EVERY_S = 0.0
    train(data, "tiny", out=out, resume=resume and (out / "config.toml").exists(), progress=False, **SETTINGS, **more)


def started(data: Path, out: Path, resume: bool = False, **more) -> multiprocessing.Process:
    """Such a process."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["headgate.verbs.training", "headgate.training.lesson"])
    process = context.Process(target=learn, args=(data, out, resume, more))
    process.start()
    return process


class Registered(fit.Sitting):
    """A sitting that knows the tiny task in a process of its own, since reading it back imports this file."""
