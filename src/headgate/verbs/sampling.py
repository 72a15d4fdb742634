"""headgate.sample: text from a model that has learned to write some."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from headgate.training.bench_run import Run


def sample(
    run: str | Path | Run,
    prompt: str = "",
    length: int = 500,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
) -> Iterator[str]:
    """Write on from a prompt.

    Args:
        run: the folder of a run whose task makes text.
        prompt: what to go on from.
        length: characters, words or pieces, as the model has them.
        temperature: above 1 bolder, below 1 safer; 0 always takes the likeliest.
        top_k: choose among so many of the likeliest; 0 for all.
        top_p: choose among the likeliest that make up this much of the probability (Holtzman et al. 2020).
        seed: the same seed gives the same text.

    Yields:
        Pieces of text, as they come.

    Raises:
        ValueError: no run, a task that makes no text, or a number out of range.
    """
    run = run if isinstance(run, Run) else Run.load(run)
    write = getattr(run.task, "sample", None)
    if write is None:
        raise ValueError(f"{run.folder} is a run of task {run.task.name}, which writes no text; give one of language.")
    for name, value, good, wanted in (
        ("length", length, length >= 1, "at least 1"),
        ("temperature", temperature, temperature >= 0, "at least 0"),
        ("top_k", top_k, top_k >= 0, "at least 0"),
        ("top_p", top_p, 0 < top_p <= 1, "above 0 and at most 1"),
    ):
        if not good:
            raise ValueError(f"{name}={value!r}, but a number of {wanted} is needed.")
    asked = {"prompt": prompt, "length": length, "temperature": temperature, "top_k": top_k, "top_p": top_p}
    with torch.no_grad():
        yield from write(run.network(), run.encoding, run.options, **asked, seed=seed)
