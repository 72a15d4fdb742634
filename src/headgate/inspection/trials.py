"""A model's loss on fixed data, sequence by sequence, measured again and again with something in it changed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headgate.cells import Cell
from headgate.inspection.capture import WATCHED
from headgate.inspection.replay import Play, Replay, Whole, overriding, twin_of
from headgate.nn import Recurrent

# Losses of the sequences of one batch, [B]: `losses(model, batch)`.
Losses = Callable[[nn.Module, Any], Tensor]


@dataclass(frozen=True)
class Place:
    """A layer and direction of a module; `index` among them, in the order of the states."""

    name: str
    module: nn.Module
    index: int
    cell: Cell


class Trials:
    """Runs of a model on fixed batches, of which a with-block makes any number.

    Within it the model is in evaluation mode, compiled models run as they were written, and every run of a batch draws
    the same random numbers; afterwards mode and random state are what they were.

    Args:
        model: any module that holds recurrent layers.
        batches: whatever `losses` takes; gone through once and kept.
        losses: the loss of each sequence of a batch, [B].
        seed: of what a model or its loss may draw.

    Attributes:
        base: each sequence's loss with nothing changed, [N].
        longest: the most steps that a row took in any recurrent layer.
        called: by module, what was called of it, a batch each.

    Raises:
        ValueError: no recurrent layer was called, or there are no batches.
        TypeError: `losses` gave no losses.
        RuntimeError: a layer has a forward of its own, so nothing can be changed in it.
    """

    def __init__(self, model: nn.Module, batches: Iterable[Any], losses: Losses, seed: int = 0) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"trials: got a {type(model).__name__}, but a torch.nn.Module is needed.")
        self._model, self._losses, self._seed = model, losses, seed
        self.batches = list(batches)
        if not self.batches:
            raise ValueError("trials: there are no batches to measure the loss on; give at least one.")
        self._modules = {name: module for name, module in model.named_modules() if isinstance(module, WATCHED)}
        self._devices = sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
        self._twins: dict[nn.Module, Recurrent] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Trials:
        with ExitStack() as stack:
            stack.enter_context(_settled(self._model, self._devices))
            self._twins = {module: twin_of(module) for module in self._modules.values()}
            self._run_unchanged()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.close()

    def _run_unchanged(self) -> None:
        self.called: dict[str, list[Replay]] = {name: [] for name in self._modules}
        base = []
        for k in range(len(self.batches)):
            with ExitStack() as stack:
                for name, module in self._modules.items():
                    replay = stack.enter_context(overriding(module, self._twins[module], check=True, name=name))
                    self.called[name].append(replay)
                base.append(self._run(k))
        self.sizes = [len(part) for part in base]
        self.base = _numbers(torch.cat(base))
        steps = [steps for replays in self.called.values() for replay in replays for steps in replay.steps]
        if not steps:
            there = ", ".join(map(repr, self._modules)) or "none"
            raise ValueError(
                f"trials: the loss called no recurrent layer; the model's are {there} (headgate's and torch.nn's LSTM, "
                "GRU and RNN are seen)."
            )
        self.longest = max(int(part.max()) if len(part) else 0 for part in steps)

    def places(self, names: Sequence[str] | None = None) -> list[Place]:
        """The layers and directions of these names, as `watch` has them; None for all that were called.

        Raises:
            KeyError: no such name, or it was not called.
        """
        found: dict[str, Place] = {}
        last: dict[str, str] = {}
        for home, module in self._modules.items():
            if not any(replay.steps for replay in self.called[home]):
                continue
            suffixes = ("", "_reverse") if module.bidirectional else ("",)
            parts = [f"l{layer}{suffix}" for layer in range(module.num_layers) for suffix in suffixes]
            cell = self._twins[module].cell
            for index, part in enumerate(parts):
                name = f"{home}.{part}" if home else part
                found[name] = Place(name, module, index, cell)
            last[home] = next(n for n in reversed(found) if not n.endswith("_reverse"))
        if names is None:
            return list(found.values())
        for name in names:
            if name not in found and name not in last:
                there = ", ".join(map(repr, found))
                raise KeyError(f"trials: nothing named {name!r} was called; there is {there}.")
        return [found[last.get(name, name)] for name in names]

    def calls(self, place: Place, batch: int) -> int:
        """How often a batch calls the module of a place."""
        name = next(name for name, module in self._modules.items() if module is place.module)
        return len(self.called[name][batch].steps)

    def run(self, batch: int, plays: Mapping[Place, Play], gradient: bool = False) -> Tensor:
        """The losses of a batch with some layers and directions run by `plays`, [B]; differentiable if asked for."""
        by_module: dict[nn.Module, dict[int, Play]] = {}
        for place, play in plays.items():
            by_module.setdefault(place.module, {})[place.index] = play
        with ExitStack() as stack:
            for module, own in by_module.items():
                stack.enter_context(overriding(module, self._twins[module], own))
            return self._run(batch, gradient)

    def run_whole(self, batch: int, whole: Whole) -> Tensor:
        """The losses of a batch with every recurrent module run by `whole`, [B]."""
        with ExitStack() as stack:
            for module in self._modules.values():
                stack.enter_context(overriding(module, self._twins[module], whole=whole))
            return self._run(batch)

    def numbers(self, batch: int, losses: Tensor) -> np.ndarray:
        """A batch's losses in float64, infinite where one is no number, [B]."""
        if len(losses) != self.sizes[batch]:
            raise ValueError(
                f"trials: losses(model, batch) gave {self.sizes[batch]} losses of batch {batch}, then {len(losses)}; "
                "it has to give the loss of the same sequences each time."
            )
        return _numbers(losses)

    @property
    def spans(self) -> list[slice]:
        """Where each batch's sequences stand among all."""
        ends = np.cumsum(self.sizes)
        return [slice(end - size, end) for end, size in zip(ends, self.sizes, strict=True)]

    def _run(self, k: int, gradient: bool = False) -> Tensor:
        # Not torch.manual_seed, which would also have a GPU that nobody has used yet begin with this seed.
        torch.default_generator.manual_seed(self._seed + k)
        for device in self._devices:
            torch.cuda.default_generators[device].manual_seed(self._seed + k)
        with torch.set_grad_enabled(gradient):
            found = self._losses(self._model, self.batches[k])
        if not isinstance(found, Tensor) or found.dim() != 1 or not found.is_floating_point():
            came = type(found).__name__
            came = f"{found.dtype} of shape {list(found.shape)}" if isinstance(found, Tensor) else f"a {came}"
            raise TypeError(f"trials: losses(model, batch) gave {came}, but the loss of each sequence is needed, [B].")
        return found


def _numbers(losses: Tensor) -> np.ndarray:
    numbers = losses.detach().double().cpu().numpy()
    return np.where(np.isnan(numbers), np.inf, numbers)


@contextmanager
def _settled(model: nn.Module, devices: list[int]) -> Iterator[None]:
    """Evaluation, as written and not compiled, with random numbers of its own."""
    training = {module: module.training for module in model.modules()}
    # Asking for a stance imports the compiler, which takes seconds; where it is not there, nothing is compiled.
    compiler = "torch._dynamo" in sys.modules
    as_written = torch.compiler.set_stance("force_eager") if compiler else nullcontext()
    with torch.random.fork_rng(devices=devices), as_written:
        try:
            model.eval()
            yield
        finally:
            for module, mode in training.items():
                module.training = mode
