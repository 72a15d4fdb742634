"""headgate bench: beside its peers, the same results first, then the time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from headgate.cli._refusal import Refusal, missing

ROOT = Path(__file__).resolve().parents[3]


def bench(
    workload: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Only these, as in 'gru-*'; '!grid-*' for all others; repeatable.",
            show_default="all",
        ),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PEER", help="Only beside this, or '!jax' for all others; repeatable.", show_default="all"
        ),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="For ours and every peer.", show_default="2")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few steps, few repeats: does all run?")] = False,
    again: Annotated[bool, typer.Option("--again", help="Measure again what was measured before.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the results.", show_default="benchmarks/results, where they are kept"),
    ] = None,
    names: Annotated[bool, typer.Option("--list", help="Show workloads, their peers and reasons, and leave.")] = False,
) -> int:
    """Measure the time beside torch.nn, torch.compile, onnxruntime, OpenVINO, JAX and torchrecurrent, in a checkout.

    Outputs and gradients are compared before anything is timed; losses are printed as losses. What was measured is
    kept, so a run that was stopped goes on where it was. When everything outside the grid is measured, the table and
    the figure of README.md are written. Exit code 1 if a peer computed something else, or failed.
    """
    if not (ROOT / "benchmarks" / "__main__.py").is_file():
        raise Refusal(
            "the benchmarks are a part of the source, and this headgate was installed without it; clone the repository "
            "and install from there, with pip install --editable '.[all,bench]'."
        )
    lacking = missing("markupsafe")
    if lacking:
        raise Refusal(lacking)
    words = [f"--workload={pattern}" for pattern in workload or ()] + [f"--peer={name}" for name in peer or ()]
    words += [] if threads is None else [f"--threads={threads}"]
    words += [] if out is None else [f"--out={out.resolve()}"]
    words += [name for name, given in (("--quick", quick), ("--again", again), ("--list", names)) if given]
    process = subprocess.Popen([sys.executable, "-m", "benchmarks", *words], cwd=ROOT)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the other was told as well; it keeps what was done, says so, and ends
