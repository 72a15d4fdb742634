"""What every engine is asked and what it answers: one layer, one direction, all steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd import forward_ad

from headgate.cells import Cell

HALF = (torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Request:
    """What an engine has to be able to do, known before any number is: the ground on which one is chosen."""

    cell: Cell
    device: torch.device
    dtype: torch.dtype
    lengths: bool = False
    reset: bool = False
    all_states: bool = False


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
    """

    cell: Cell
    weights: Mapping[str, Tensor]
    input: Tensor
    initial: tuple[Tensor, ...]
    lengths: Tensor | None = None
    reset: Tensor | None = None
    reverse: bool = False
    all_states: bool = False

    @property
    def request(self) -> Request:
        return Request(
            self.cell,
            self.input.device,
            self.input.dtype,
            self.lengths is not None,
            self.reset is not None,
            self.all_states,
        )


@dataclass(frozen=True)
class Result:
    """What an engine returns; every tensor is differentiable with respect to the call's tensors.

    Attributes:
        output: the first state at every step, [T, B, O]; zero past a row's end.
        final: each row's states after its last step, in the cell's order and in the dtype they came in.
        states: every state at every step by name, [T, B, ...], if asked for; frozen past a row's end.
    """

    output: Tensor
    final: tuple[Tensor, ...]
    states: dict[str, Tensor] | None = None


def in_transform() -> bool:
    """Whether a function transform (vmap, grad, jvp) or forward-mode differentiation is under way."""
    return torch._C._functorch.maybe_current_level() is not None or forward_ad._current_level >= 0


def wide(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which states are carried: float32 for half precision, where bf16 would lose small additions."""
    return torch.float32 if dtype in HALF else dtype
