"""What `headgate watch` looks at: a model, its data and its loss, from a run folder or from a user's own module."""

from __future__ import annotations

import importlib
import math
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from headgate import tasks
from headgate.tasks import Batch, Task
from headgate.training import run_config
from headgate.training.bench_run import Run
from headgate.training.model_folder import CONFIG, ModelFolder
from headgate.training.probe import probe, rows_of
from headgate.training.run_folder import MODELS

# So many sequences, in so many batches, are looked at unless the user says otherwise.
ROWS, BATCHES = 64, 2


@dataclass(frozen=True)
class Subject:
    """A model and what to look at it with.

    Attributes:
        name: what a page calls it.
        model: in evaluation mode.
        batches: whatever `losses` takes.
        losses: `losses(model, batch)`: each sequence's loss, [B].
        chance: loss of the best answer that remembers nothing, if known.
        needs_lag: how far back the task reaches, if known.
        train_length: how long the training sequences were, if known.
        every_step: the loss reads every step, not the last alone.
        own: whether model or losses are a user's own code, which may raise anything.
        words: what the first sequence is made of, as `examine` takes it; nothing where it is no text.
    """

    name: str
    model: nn.Module
    batches: Sequence[Any]
    losses: Callable[[nn.Module, Any], Tensor]
    chance: float | None = None
    needs_lag: int | None = None
    train_length: int | None = None
    every_step: bool = False
    own: bool = False
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)


def of_run(folder: str | Path, data: str | Path | None = None) -> list[Subject]:
    """The models of a run: the folder's own, or the first seed of each below it.

    Args:
        folder: that `headgate train` or `headgate demo` wrote, or one model's folder in it.
        data: a file in place of the unseen sequences: an .npz file, see `read_npz`; for `headgate train` one of its
            task.

    Raises:
        ValueError: there is no model, or the data do not fit it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; give one that `headgate demo` wrote, or a model's folder in it.")
    if (folder / CONFIG).is_file():
        if run_config.read(folder).get("kind") == run_config.KIND:
            return [_of_bench(folder, data)]
        return [_of_model_folder(folder, str(folder), data)]
    found: dict[Path, Path] = {}
    # The seeds in the order of numbers: 9 before 10.
    places = (folder / MODELS).glob(f"*/*/*/{CONFIG}")
    for path in sorted(places, key=lambda p: (p.parts[:-2], len(p.parent.name), p.parent.name)):
        found.setdefault(path.parent.parent, path.parent)
    if not found:
        raise ValueError(
            f"{folder} holds no model ({CONFIG}); give a folder that `headgate demo` wrote, or a model's folder in it."
        )
    return [_of_model_folder(path, "-".join(path.parts[-3:-1]), data) for path in found.values()]


def of_module(where: str, data: str) -> Subject:
    """A user's own model.

    Args:
        where: "module:factory"; the factory takes nothing and returns the model, or (model, losses) with
            `losses(model, batch)` giving each sequence's loss, [B].
        data: an .npz file, see `read_npz`, or "module:function", which returns batches.

    Raises:
        ValueError: nothing of that name, or what came from it cannot be used.
    """
    made = _called(where, "--model")
    model, losses = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(model, nn.Module):
        raise ValueError(f"--model {where} returned a {type(model).__name__}, but a torch.nn.Module is needed.")
    if losses is not None and not callable(losses):
        raise ValueError(f"--model {where} returned (model, {type(losses).__name__}); the second must be callable.")
    if data.endswith(".npz"):
        batches = read_npz(data, batch_first=True)
        guessed = losses or (lambda m, b: guessed_losses(m, b, time_major=False))
        return Subject(where, model.eval(), batches, guessed, own=True)
    try:
        batches = list(_called(data, "--data"))
    except TypeError as reason:
        raise ValueError(f"--data {data} returned nothing that can be gone through ({reason}).") from None
    if losses is None:
        losses = _losses_of_pairs
    return Subject(where, model.eval(), batches, losses, own=True)


def read_npz(path: str | Path, batch_first: bool) -> list[Batch]:
    """Sequences from an .npz file: `x` [B, T, I] (or [B, T] of whole numbers) and `y`, the answers, [B, ...].

    Args:
        path: the file.
        batch_first: keep the batch first; otherwise time goes first, in `y` too where it has T steps.

    Raises:
        ValueError: no such file, no such arrays, or arrays that do not belong together.
    """
    try:
        # Opened here, since of a damaged one NumPy leaves the file open.
        with Path(path).open("rb") as file:
            stored = np.load(file, allow_pickle=False)
            if not isinstance(stored, np.lib.npyio.NpzFile):
                raise ValueError("it holds one array alone; write it with numpy.savez(file, x=x, y=y)")
            arrays = dict(stored)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as reason:
        raise ValueError(f"{path} cannot be read as an .npz file ({reason}).") from None
    for name in ("x", "y"):
        if name not in arrays:
            raise ValueError(f"{path} holds {', '.join(sorted(arrays)) or 'nothing'}, but arrays x and y are needed.")
        if arrays[name].dtype.kind not in "biuf":
            raise ValueError(f"{path}: {name} holds {arrays[name].dtype}, but numbers are needed.")
    x, y = arrays["x"], arrays["y"]
    if x.ndim not in (2, 3) or not x.size or not y.ndim or len(x) != len(y):
        raise ValueError(
            f"{path}: x has shape {list(x.shape)} and y {list(y.shape)}; x is [B, T, I] with B sequences, and y has "
            "one answer (or one sequence of answers) for each."
        )
    for name, value in (("x", x), ("y", y)):
        whole = np.isfinite(value).reshape(len(value), -1).all(1)
        if not whole.all():
            raise ValueError(
                f"{path}: sequence {int(whole.argmin())} of {name} holds NaN or infinity; fill or leave out what is "
                "missing."
            )
    input, target = (_tensor(value) for value in (x, y))
    size = max(1, -(-len(input) // BATCHES))
    parts = zip(input.split(size), target.split(size), strict=True)
    return [Batch(a, b) if batch_first else Batch(a.transpose(0, 1), _time_first(b)) for a, b in parts]


def guessed_losses(model: nn.Module, batch: Batch, time_major: bool) -> Tensor:
    """Each sequence's loss where the user gave none, [B]: cross-entropy for whole numbers, else squared error.

    Raises:
        ValueError: the model's output has not the shape of the answers.
    """
    input, like = batch.input, next(model.parameters(), None)
    if like is not None and input.is_floating_point():
        input = input.to(like)
    output = model(input)
    output = output[0] if isinstance(output, tuple) else output
    target = batch.target.to(output.device)
    if not target.is_floating_point() and output.dim() == target.dim() + 1:
        each = functional.cross_entropy(output.flatten(0, -2), target.flatten().long(), reduction="none")
        each = each.view(target.shape)
    elif output.shape == target.shape or output.squeeze(-1).shape == target.shape:
        each = functional.mse_loss(output.view(target.shape), target.to(output.dtype), reduction="none")
    else:
        raise ValueError(
            f"the model's output has shape {list(output.shape)} and y {list(target.shape)}: for classes the output has "
            "one axis more, for numbers the same shape; or let the factory return (model, losses)."
        )
    each = each.transpose(0, 1) if time_major and each.dim() > 1 else each
    return each.flatten(1).mean(1) if each.dim() > 1 else each


def _losses_of_pairs(model: nn.Module, batch: Any) -> Tensor:
    if not (isinstance(batch, (tuple, list)) and len(batch) == 2):
        raise ValueError(
            f"a batch is a {type(batch).__name__}; without losses from the factory each must be a pair (x, y) of "
            "tensors with the batch first."
        )
    return guessed_losses(model, Batch(*batch), time_major=False)


def _of_bench(folder: Path, data: str | Path | None) -> Subject:
    run = Run.load(folder)
    batches = probe(run, rows_of(run, data))
    return Subject(
        str(folder),
        run.network(),
        batches,
        run.task.row_losses,
        words=run.task.words(batches[0], run.encoding),
        needs_lag=run.task.needs_lag(run.encoding),
        every_step=run.task.every_step(),
    )


def _of_model_folder(folder: Path, name: str, data: str | Path | None) -> Subject:
    stored = ModelFolder.load(folder)
    task = tasks.get(stored.task)
    if data is None:
        held_out = task.held_out()
        some = Batch(held_out.input[:, :ROWS], held_out.target[:, :ROWS])
        size = -(-some.input.shape[1] // BATCHES)
        parts = zip(some.input.split(size, 1), some.target.split(size, 1), strict=True)
        batches = [Batch(a, b) for a, b in parts]
    else:
        batches = read_npz(data, batch_first=False)
        if batches[0].input.dim() != 3 or batches[0].input.shape[-1] != task.input_size:
            raise ValueError(
                f"{data}: x has {list(batches[0].input.shape)[2:] or 'no'} features a step, but the model in {folder} "
                f"reads {task.input_size}."
            )
        batches = [Batch(b.input.float(), _as_asked(task, b.target, data)) for b in batches]

    def losses(model: nn.Module, batch: Batch) -> Tensor:
        return task.losses(model(batch.input), batch.target)

    return Subject(name, stored.network(), batches, losses, task.baseline()["loss"], task.needs_lag, task.length)


def _as_asked(task: Task, target: Tensor, data: str | Path) -> Tensor:
    """Answers from a file, [reads, B, ...], as the task's own are."""
    like, B = task.held_out().target, target.shape[1]
    wanted = [len(like), B, *like.shape[2:]]
    if target.numel() != math.prod(wanted):
        raise ValueError(
            f"{data}: y holds {target.numel() / B:g} numbers a sequence, but {task.phrase} asks for "
            f"{math.prod(wanted) // B}."
        )
    if like.is_floating_point():
        return target.reshape(wanted).to(like.dtype)
    if target.is_floating_point() or target.min() < 0 or target.max() >= task.output_size:
        raise ValueError(f"{data}: y must hold classes of {task.phrase}, whole numbers 0 to {task.output_size - 1}.")
    return target.reshape(wanted)


def _called(where: str, option: str) -> Any:
    """What "module:function" returns; the working directory is searched first, as python -m does."""
    module, colon, name = where.partition(":")
    if not colon or not module or not name:
        raise ValueError(f"{option} {where!r} is not of the form module:function.")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as reason:
        asked = f"{module}.".startswith(f"{reason.name}.")
        mend = f"run it where {module}.py lies" if asked else f"{module} imports it, so install it first"
        raise ValueError(f"{option} {where}: {reason}; {mend}.") from None
    except (Exception, SystemExit) as error:
        raise ValueError(f"{option} {where}: importing {module} gave {_in_a_line(error)}.") from None
    if not hasattr(found, name):
        raise ValueError(f"{option} {where}: the module has no {name!r}.")
    function = getattr(found, name)
    if not callable(function):
        raise ValueError(f"{option} {where} is a {type(function).__name__}, but something to be called is needed.")
    try:
        return function()
    except (Exception, SystemExit) as error:
        raise ValueError(f"{option} {where}: calling it gave {_in_a_line(error)}.") from None


def _in_a_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ").rstrip(".")


def _tensor(value: np.ndarray) -> Tensor:
    # By way of NumPy, since a file may hold kinds that torch has not, as the other byte order.
    return torch.from_numpy(value.astype(np.float32 if value.dtype.kind == "f" else np.int64))


def _time_first(target: Tensor) -> Tensor:
    return target[None] if target.dim() == 1 else target.transpose(0, 1)
