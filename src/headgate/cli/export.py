"""headgate export: a trained model for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from headgate.cli._refusal import refusing
from headgate.verbs import exporting


def export(
    run: Annotated[Path, typer.Argument(help="The run's folder.")],
    out: Annotated[Path | None, typer.Option(help="Where to.", show_default="in the run's folder")] = None,
    format: Annotated[
        Literal["safetensors", "onnx", "torch"],
        typer.Option(help="safetensors: a folder as on the Hugging Face hub; torch: a program of torch.export."),
    ] = "safetensors",
) -> int:
    """Write a trained model for use elsewhere; ONNX and torch.export are compared with the model first."""
    with refusing():
        print(exporting.export(run, format, out))
    return 0
