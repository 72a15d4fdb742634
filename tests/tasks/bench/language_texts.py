"""Small texts and networks that the tests of the language task share."""

from __future__ import annotations

import torch

from headgate.data import Store
from headgate.data.corpus import passages
from headgate.tasks.bench.language import TASK
from headgate.tasks.bench.language.options import Options
from headgate.tasks.settings import Layers

SEED = 30
TEXT = "To be, or not to be: that is the question.\nWhether 'tis nobler in the mind to suffer\n" * 12


def written(folder, text, name="text.txt"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def prepared(folder, text=TEXT, options=None, **more):
    """Options, encoding and the store of a text."""
    options = options or Options(**more)
    path = written(folder, text)
    encoding = TASK.learn(TASK.read([path], options), options)
    return options, encoding, Store.write(folder / "rows", TASK.encode(TASK.read([path], options), encoding, options))


def small(encoding, options, seed=SEED, dtype=torch.float64, **layers):
    """A network of few units, in double precision unless asked otherwise; its weights make it heed its state."""
    torch.manual_seed(seed)
    settings = Layers(**{"cell": "lstm", "hidden_size": 8} | layers)
    network = TASK.network(encoding, options, settings).to(dtype)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(3)
    return network


def documents(folder, texts):
    """A folder of files, as a list of their paths."""
    return [written(folder, text, f"{k}.txt") for k, text in enumerate(texts)]


def read(paths, **more):
    return list(passages(paths, **more))
