"""headgate.sample: text from a model that has learned to write some."""

from __future__ import annotations

from pathlib import Path

from headgate.tasks.bench_task import Sample
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
) -> Sample:
    """Write on from a prompt.

    Args:
        run: the folder of a run whose task makes text.
        prompt: what to go on from.
        length: characters, words or pieces, as the model has them.
        temperature: above 1 bolder, below 1 safer; 0 always takes the likeliest.
        top_k: choose among so many of the likeliest; 0 for all.
        top_p: choose among the likeliest that make up this much of the probability (Holtzman et al. 2020).
        seed: the same seed gives the same text.

    Returns:
        Pieces of text, as they come, with `notes` on what of the prompt is not known.

    Raises:
        ValueError: no run, a task that makes no text, or a number out of range.
    """
    run = run if isinstance(run, Run) else Run.load(run)
    write = getattr(run.task, "sample", None)
    if write is None:
        raise ValueError(f"{run.folder} is a run of task {run.task.name}, which writes no text; give one of language.")
    asked = {"prompt": prompt, "length": length, "temperature": temperature, "top_k": top_k, "top_p": top_p}
    return write(run.network(), run.encoding, run.options, **asked, seed=seed)
