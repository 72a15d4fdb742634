"""headgate.export: a run's best model for other programs, compared with ours before the file is called good."""

from __future__ import annotations

import copy
import importlib
import inspect
import io
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from headgate import engines
from headgate.engines import Request
from headgate.nn import Recurrent
from headgate.tasks.bench_task import Exported
from headgate.training import atomic
from headgate.training.bench_run import Run
from headgate.verbs.pretrained import Model

FORMATS = ("safetensors", "onnx", "torch")
NAMES = {"safetensors": "pretrained", "onnx": "model.onnx", "torch": "model.pt2"}
# Two float32 programs that sum in another order; relative to the largest number.
ALLOWED = 1e-4
STOCK, ONNX = "stock", "onnx"


def export(run: str | Path | Run, format: str = "safetensors", out: str | Path | None = None) -> Path:
    """Write a run's best model for use elsewhere.

    Args:
        run: its folder.
        format: "safetensors": a folder by the conventions of Hugging Face, which `headgate.load` reads; "onnx": a file
            for onnxruntime and the like, with axes for time and rows that may differ from run to run; "torch": a
            program of torch.export, which needs `import headgate` where it is loaded.
        out: where to; None: beside the run's other files.

    Returns:
        What was written.

    Raises:
        ValueError: no such format, or the model cannot be exported so; the message says what of it. Nothing is left.
        ModuleNotFoundError: onnx or onnxruntime, which the format "onnx" needs, is not installed.
        OSError: it cannot be written.
    """
    if format not in FORMATS:
        raise ValueError(f"format={format!r}, but one of {', '.join(map(repr, FORMATS))} is needed.")
    run = run if isinstance(run, Run) else Run.load(run)
    model = Model.of_run(run)
    place = run.folder / NAMES[format] if out is None else Path(out)
    if format == "safetensors":
        return model.save_pretrained(place)
    found = model.task.exported(model.network, model.encoding, model.options)
    if found is None:
        raise ValueError(f"a run of task {model.task.name} cannot be written as {format}; use format 'safetensors'.")
    if place.is_dir():
        raise ValueError(f"{place} is a folder; give the name of a file.")
    if format == "torch":
        content = _torch(found)
    else:
        content = importlib.import_module("headgate.verbs.onnx_file").content(found, _plain(found.module))
    place.absolute().parent.mkdir(parents=True, exist_ok=True)
    return atomic.write(place, content)


def other_sizes(found: Exported) -> tuple[Tensor, ...]:
    """Inputs like the examples, longer along every axis that may differ: a program that kept a size would show it."""
    changed = []
    for name, value in found.inputs.items():
        for axis in found.axes.get(name, {}):
            value = torch.cat([value, value, value.narrow(axis, 0, 1)], axis)
        changed.append(value)
    return tuple(changed)


def compare(found: Exported, inputs: tuple[Tensor, ...], outputs: list[Tensor], who: str) -> None:
    """Refuse a program whose outputs are not ours.

    Raises:
        ValueError: the largest difference is above ALLOWED of the largest number.
    """
    with torch.no_grad():
        expected = found.module(*inputs)
    expected = expected if isinstance(expected, (tuple, list)) else (expected,)
    for name, mine, theirs in zip(found.outputs, expected, outputs, strict=True):
        apart = float((mine - theirs).abs().max()) if mine.shape == theirs.shape else float("inf")
        if not apart <= ALLOWED * max(1.0, float(mine.abs().max())):
            raise ValueError(f"{who} gives another {name}: apart by {apart:.2g}; no file was written.")


def _torch(found: Exported) -> bytes:
    """A program of torch.export, once it was found to compute the same."""
    axes = [
        {axis: torch.export.Dim(word) for axis, word in found.axes.get(name, {}).items()} for name in found.inputs
    ]
    kinds = [one.kind for one in inspect.signature(found.module.forward).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:  # what `*rest` takes is one argument there
        axes = [*axes[: len(kinds) - 1], tuple(axes[len(kinds) - 1 :])]
    try:
        with torch.no_grad():
            examples = tuple(found.inputs.values())
            program = torch.export.export(found.module, examples, dynamic_shapes=tuple(axes))
            inputs = other_sizes(found)
            outputs = program.module()(*inputs)
    except (RuntimeError, ValueError, TypeError) as reason:
        raise ValueError(f"torch.export refuses this network: {_first_line(reason)}") from None
    compare(found, inputs, list(outputs) if isinstance(outputs, (tuple, list)) else [outputs], "torch.export's program")
    return _saved(program)


def _saved(program: torch.export.ExportedProgram) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*expect_serialization.*|.*pickle.*")
        torch.export.save(program, buffer)
    return buffer.getvalue()


def _plain(given: nn.Module) -> nn.Module:
    """The same with torch's own kernels where ONNX has operators for them, and else one node a layer and direction."""
    module = copy.deepcopy(given).eval()
    for layer in module.modules():
        if isinstance(layer, Recurrent):
            why = engines.engine_named(STOCK).refusal(Request(layer.cell, torch.device("cpu"), torch.float32))
            layer.engine = STOCK if why is None else ONNX
    return module


def _first_line(reason: Exception) -> str:
    return " ".join(str(reason).split())[:200]

