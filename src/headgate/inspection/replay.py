"""A recurrent module run by its twin, layer by layer, with a part of it changed; nothing of it is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from headgate.engines import Call, Result
from headgate.inspection.layers import Opened, disagreement, open_call, run_layers, weights_of
from headgate.inspection.override import run
from headgate.nn import Recurrent
from headgate.nn.arguments import autocast_dtype
from headgate.nn.swap import twin

# Runs one layer and direction, given its call and how many calls of the module came before.
Play = Callable[[Call, int], Result]
# Runs all of them, given the module's call: the output [T, B, D O] and the final states, [L D, B, ...] each.
Whole = Callable[[Opened], tuple[Tensor, tuple[Tensor, ...]]]

CHECKED = 64  # steps on which a twin is held against its module


@dataclass
class Replay:
    """What was called while a module was replaced.

    Attributes:
        steps: for each call, the steps that each row took, [B].
        chained: whether a call after the first was given states, such as those that the one before handed on.
    """

    steps: list[Tensor] = field(default_factory=list)
    chained: bool = False


def twin_of(module: nn.Module) -> Recurrent:
    """A layer of ours with a module's settings and weights as they are now, in its dtype and on its device, to be run
    in evaluation."""
    weights = weights_of(module)
    return twin(module, weights).to(next(iter(weights.values())).dtype).eval()


@contextmanager
def overriding(
    module: nn.Module,
    layer: Recurrent,
    plays: Mapping[int, Play] | None = None,
    *,
    whole: Whole | None = None,
    check: bool = False,
    name: str = "",
) -> Iterator[Replay]:
    """Replace what a recurrent module does, for the time of a with-block.

    Its forward becomes a run of its twin, one layer and direction after the other: those in `plays` as these say, all
    others as they are. The module's own weights, hooks and settings are not touched, and afterwards it is as it was,
    also if an error ends the block.

    Args:
        module: a layer of headgate's, or torch.nn's LSTM, GRU or RNN.
        layer: its twin (`twin_of`), which is run.
        plays: by index among layers and directions, in the order of the states.
        whole: runs all layers and directions by itself, in the place of `plays`.
        check: also hold the twin against the module itself, on the first steps of the first call.
        name: of the module, for messages.

    Yields:
        What was called.

    Raises:
        RuntimeError: (by the call) with `check`, the twin gives another output or cannot take the arguments, so the
            module has a forward of its own.
    """
    replay, own = Replay(), module.forward

    def forward(*args: Any, **kwargs: Any) -> tuple:
        arguments = dict(zip(("input", "hx"), args, strict=False)) | kwargs
        try:
            if len(args) > 2:
                raise TypeError(f"it was given {len(args)} arguments")
            opened = open_call(layer, arguments)
        except (TypeError, ValueError, RuntimeError) as reason:
            raise RuntimeError(
                f"{name or 'the model'}: it cannot be run again layer by layer ({reason}); it has a forward of its own."
            ) from None
        count = len(replay.steps)
        replay.steps.append(opened.steps)
        replay.chained |= count > 0 and arguments.get("hx") is not None
        if check and count == 0:
            short = _first_steps(module, arguments)
            positional = [short.pop(key) for key in ("input", "hx")[: len(args)]]
            part = open_call(layer, dict(zip(("input", "hx"), positional, strict=False)) | short)
            _check(_closed(part, _player({}, count)), own(*positional, **short), name)
        return _closed(opened, whole or _player(plays or {}, count))

    with _in_place_of(module, forward):
        yield replay


def _closed(opened: Opened, whole: Whole) -> tuple:
    """What a module returns whose layers are run by `whole`."""
    device = opened.input.device
    # What autocast asks for has been done to the input; inside, every dtype is meant as it is.
    off = torch.autocast(device.type, enabled=False) if autocast_dtype(device) else nullcontext()
    with off:
        output, final = whole(opened)
    return opened.close(output, final)


def _player(plays: Mapping[int, Play], count: int) -> Whole:
    """All layers and directions, some of them by `plays`."""

    def whole(opened: Opened) -> tuple[Tensor, tuple[Tensor, ...]]:
        finals: list[tuple[Tensor, ...]] = []

        def one(call: Call, index: int) -> Tensor:
            result = plays[index](call, count) if index in plays else run(call)
            finals.append(result.final)
            return result.output

        output = run_layers(opened, one)
        return output, tuple(torch.stack(states) for states in zip(*finals, strict=True))

    return whole


@contextmanager
def _in_place_of(module: nn.Module, forward: Callable) -> Iterator[None]:
    """`forward` as the module's own, and no other way past it."""
    kept = {key: module.__dict__[key] for key in ("forward", "engine") if key in module.__dict__}
    module.forward = forward
    if isinstance(module, Recurrent):
        # `step` may run on packed weights, past forward; those are not used for an engine asked for by another name.
        module.engine = "eager"
    try:
        yield
    finally:
        del module.forward
        module.__dict__.update(kept)


def _first_steps(module: nn.Module, arguments: dict[str, Any]) -> dict[str, Any]:
    """A call's arguments for its first steps alone, and `hx` as it is."""
    input, found = arguments["input"], dict(arguments)
    if isinstance(input, PackedSequence):
        sizes = input.batch_sizes[:CHECKED]
        return found | {"input": PackedSequence(input.data[: int(sizes.sum())], sizes, *input[2:])}
    axis = 1 if module.batch_first and input.dim() == 3 else 0
    steps = min(CHECKED, input.shape[axis])
    found["input"] = input.narrow(axis, 0, steps)
    if found.get("lengths") is not None:
        found["lengths"] = torch.as_tensor(found["lengths"]).clamp(max=steps)
    if found.get("reset") is not None:
        found["reset"] = found["reset"].narrow(axis, 0, steps)
    return found


def _check(actual: tuple, expected: Any, name: str) -> None:
    """What the twin gave must be what the module gives."""
    reason = None
    try:
        pairs = list(zip(_flat(actual), _flat(expected), strict=True))
    except (TypeError, ValueError, AttributeError):
        pairs, reason = [], "of another form"
    for mine, its in pairs:
        if mine.shape != its.shape:
            reason = f"of shape {list(its.shape)}, not {list(mine.shape)}"
            break
        error, allowed = disagreement(mine, its)
        if not error <= allowed:
            reason = f"by {error:.1e}, allowed {allowed:.1e}"
    if reason is not None:
        raise RuntimeError(
            f"{name or 'the model'}: run again layer by layer it gives another output ({reason}), so what a "
            "change would do cannot be told; it has a forward of its own, or its output is not finite."
        )


def _flat(result: Any) -> list[Tensor]:
    output, state = result
    data = output.data if isinstance(output, PackedSequence) else output
    return [data, *((state,) if isinstance(state, Tensor) else state)]
