"""headgate sample: text from a language model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from headgate.cli._refusal import refusing
from headgate.verbs import sampling


def sample(
    run: Annotated[Path, typer.Argument(help="The run's folder.")],
    prompt: Annotated[str, typer.Option(help="What to go on from.")] = "",
    length: Annotated[int, typer.Option(help="Characters, words or pieces, as the model has them.")] = 500,
    temperature: Annotated[float, typer.Option(help="Above 1 bolder, below 1 safer; 0 takes the likeliest.")] = 1.0,
    top_k: Annotated[int, typer.Option(help="Choose among so many of the likeliest; 0 for all.")] = 0,
    top_p: Annotated[float, typer.Option(help="Choose among the likeliest with this much probability.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same text.")] = 0,
) -> int:
    """Write text with a language model, from a prompt."""
    with refusing():
        asked = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
        written = sampling.sample(run, prompt, length, **asked)
        for note in written.notes:
            print(f"headgate sample: the prompt has {note}.", file=sys.stderr)
        print(prompt, end="", flush=True)
        for piece in written:
            print(piece, end="", flush=True)
        print()
    return 0
