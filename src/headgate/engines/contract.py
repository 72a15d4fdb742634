"""What every engine is asked and what it answers: one layer, one direction, all steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch._C import _get_tracing_state, _len_torch_dispatch_stack
from torch._C._functorch import maybe_current_level
from torch.autograd import forward_ad

from headgate.cells import Cell
from headgate.cells.cell import Named
from headgate.graph import trace
from headgate.graph.expression import in_order
from headgate.reference.masks import masks

HALF = (torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Request:
    """What an engine has to be able to do, known before any number is: the ground on which one is chosen.

    `masks` says that they are to be drawn; otherwise they are their rates.
    """

    cell: Cell
    device: torch.device
    dtype: torch.dtype
    lengths: bool = False
    reset: bool = False
    all_states: bool = False
    masks: bool = False

    @property
    def needs(self) -> frozenset[str]:
        """What the step asks for beyond arithmetic on each unit by itself: "mean" over the units of a row, "mask"."""
        return _needs(self.cell)


@cache
def _needs(cell: Cell) -> frozenset[str]:
    nodes = in_order(trace(cell).states.values())
    kinds = {"mean"} if any(node.kind == "mean" for node in nodes) else set()
    return frozenset(kinds | ({"mask"} if cell.mask_names else set()))


@dataclass(frozen=True)
class Call:
    """One layer in one direction over a batch of sequences.

    Attributes:
        cell: the equations.
        weights: by the names of `Cell.parameter_shapes`, all of the input's dtype and device.
        input: [T, B, I].
        initial: the states before the first step, in the cell's order, [B, H] each (the output [B, O]); float32 is
            accepted beside a half-precision input.
        lengths: valid steps of each row, [B], any integer dtype, on the input's device; None means T for all.
            A row's state is frozen past its end and its output is zero there; a reversed run starts at the end.
        reset: True where a new sequence begins at that step, [T, B] bool; the states are restored to `initial`
            between that step and the one before it, in either direction.
        reverse: from each row's end to its beginning; the output stays aligned with the input.
        all_states: ask for every state at every step, not the output alone.
        keep: leave what the engine's own way back for the watch starts from, `Result.kept`, if it has one.
        seed: what the masks are drawn from (`headgate.reference.masks`; t is the time in `input`, b its row), int64
            with one element, on the CPU; None for evaluation, where the masks are their rates. A cell without masks
            draws none.
    """

    cell: Cell
    weights: Mapping[str, Tensor]
    input: Tensor
    initial: tuple[Tensor, ...]
    lengths: Tensor | None = None
    reset: Tensor | None = None
    reverse: bool = False
    all_states: bool = False
    seed: Tensor | None = None
    keep: bool = False

    @property
    def request(self) -> Request:
        return Request(
            self.cell,
            self.input.device,
            self.input.dtype,
            self.lengths is not None,
            self.reset is not None,
            self.all_states,
            self.seed is not None,
        )


@dataclass(frozen=True)
class Result:
    """What an engine returns; every tensor is differentiable with respect to the call's tensors.

    Attributes:
        output: the first state at every step, [T, B, O]; zero past a row's end.
        final: each row's states after its last step, in the cell's order and in the dtype they came in.
        states: every state at every step by name, [T, B, ...], if asked for; frozen past a row's end.
        kept: a `headgate.engines.cpu.kept.Kept` from the engine that has it, if asked for.
    """

    output: Tensor
    final: tuple[Tensor, ...]
    states: dict[str, Tensor] | None = None
    kept: Any = None


def in_transform() -> bool:
    """Whether a function transform (vmap, grad, jvp) or forward-mode differentiation is under way."""
    return maybe_current_level() is not None or forward_ad._current_level >= 0


def is_followed() -> bool:
    """Whether somebody follows operators, who stands in for each, as where shapes alone are asked, or traces calls."""
    return _len_torch_dispatch_stack() > 0 or _get_tracing_state() is not None


def is_answered_by_class(value: Tensor) -> bool:
    """Whether a tensor's class answers every operator itself, so that there may be no memory to read."""
    return type(value).__torch_dispatch__ is not Tensor.__torch_dispatch__


def wide(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which states are carried: float32 for half precision, where bf16 would lose small additions."""
    return torch.float32 if dtype in HALF else dtype


def as_dtype(value: Tensor, dtype: torch.dtype) -> Tensor:
    """As `value.to(dtype)`, which takes as long as a short call's step even where nothing is to be done."""
    return value if value.dtype is dtype else value.to(dtype)


def step_masks(call: Call, t: int) -> Named | None:
    """`m` at one step of training, in the dtype of the states; None in evaluation, where the cell takes the rates."""
    cell = call.cell
    if call.seed is None or not cell.mask_names:
        return None
    size = {name: value.shape[-1] for name, value in zip(cell.state_names, call.initial, strict=True)}
    drawn = masks(cell, int(call.seed), t, call.input.shape[1], size.__getitem__)
    kind = {"device": call.input.device, "dtype": wide(call.input.dtype)}
    return Named((name, torch.from_numpy(value).to(**kind)) for name, value in drawn.items())
