"""What may be given to a layer: checked, and brought into one form. Wording follows torch.nn where it has one."""

from __future__ import annotations

import numbers
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from headgate.engines import wide

if TYPE_CHECKING:
    from headgate.nn.recurrent import Recurrent


def check_constructor(values: dict[str, Any]) -> None:
    """Refuse what torch.nn refuses, in its order and its words.

    Raises:
        TypeError: a size or a switch of the wrong type.
        ValueError: a size or probability out of range.
    """
    dropout, num_layers = values["dropout"], values["num_layers"]
    if not isinstance(dropout, numbers.Number) or isinstance(dropout, bool) or not 0 <= dropout <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element being zeroed, "
            f"but got {dropout!r}"
        )
    for name in ("bias", "batch_first", "bidirectional"):
        if not isinstance(values[name], bool) and not (name == "bidirectional" and values[name] in (0, 1)):
            raise TypeError(f"{name} should be of type bool, got: {type(values[name]).__name__}")
    for name in ("input_size", "hidden_size", "num_layers", "proj_size"):
        if not isinstance(values[name], int):
            raise TypeError(f"{name} should be of type int, got: {type(values[name]).__name__}")
    for name in ("input_size", "hidden_size", "num_layers"):
        if values[name] <= 0:
            raise ValueError(f"{name} must be greater than zero, but got {values[name]}")
    if values["proj_size"] < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if values["proj_size"] >= values["hidden_size"]:
        raise ValueError("proj_size has to be smaller than hidden_size")
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
            f"greater than 1, but got dropout={dropout} and num_layers={num_layers}",
            stacklevel=4,
        )


@dataclass(frozen=True)
class Sequences:
    """A layer's arguments in one form.

    Attributes:
        input: [T, B, I], or packed.
        initial: states [L D, B, ...] in the cell's order; rows in the packed batch's order, if packed.
        lengths: [B] on the input's device, or None.
        reset: [T, B] bool, or None.
        batched: whether the user's input had a batch dimension.
    """

    input: Tensor | PackedSequence
    initial: tuple[Tensor, ...]
    lengths: Tensor | None
    reset: Tensor | None
    batched: bool


def open_sequences(layer: Recurrent, input: Any, hx: Any, lengths: Any, reset: Any) -> Sequences:
    """Check the arguments of `forward` and bring them into one form.

    Raises:
        TypeError: the input is not a tensor or a packed sequence.
        ValueError: dimensions, dtypes, lengths or resets that cannot be meant.
        RuntimeError: sizes or devices that disagree with the layer.
    """
    if isinstance(input, PackedSequence):
        return _open_packed(layer, input, hx, lengths, reset)
    if not isinstance(input, Tensor):
        raise TypeError(f"{layer.call}: the input is a {type(input).__name__}, but a tensor or PackedSequence is needed.")
    if input.dim() not in (2, 3):
        kind = "D tensor" if layer.mode.startswith("RNN_") else "D"
        raise ValueError(
            f"{layer.call}: {layer.family}: Expected input to be 2D or 3D, got {input.dim()}{kind} instead; "
            f"x has shape {list(input.shape)}."
        )
    batched = input.dim() == 3
    states = _as_states(layer, hx, 3 if batched else 2)
    if not batched:
        input = input.unsqueeze(1)
        states = states and tuple(state.unsqueeze(1) for state in states)
    elif layer.batch_first:
        input = input.transpose(0, 1)
    _check_input(layer, input, input.shape)
    T, B = input.shape[:2]
    if T == 0:
        raise RuntimeError(f"{layer.call}: Expected sequence length to be larger than 0 in RNN; the input has no steps.")
    input, states = _autocast(input, states)
    return Sequences(
        input,
        _initial(layer, states, input, B),
        _lengths(layer, lengths, input, batched),
        _reset(layer, reset, input, batched),
        batched,
    )


def _open_packed(layer: Recurrent, input: PackedSequence, hx: Any, lengths: Any, reset: Any) -> Sequences:
    for name, value in (("lengths", lengths), ("reset", reset)):
        if value is not None:
            raise ValueError(
                f"{layer.call}: {name} was given beside a PackedSequence, which carries its own lengths and no resets; "
                f"give the padded tensor instead."
            )
    if input.data.dim() != 2:
        raise RuntimeError(f"{layer.call}: input must have 2 dimensions, got {input.data.dim()}; pack [T, B, I].")
    _check_input(layer, input.data, input.data.shape)
    states = _as_states(layer, hx, 3)
    data, states = _autocast(input.data, states)
    packed = PackedSequence(data, input.batch_sizes, input.sorted_indices, input.unsorted_indices)
    initial = _initial(layer, states, data, int(input.batch_sizes[0]))
    if input.sorted_indices is not None and states is not None:
        initial = tuple(state.index_select(1, input.sorted_indices) for state in initial)
    return Sequences(packed, initial, None, None, True)


def close_sequences(layer: Recurrent, opened: Sequences, output: Tensor | PackedSequence, final: tuple) -> tuple:
    """Bring output and final states back into the form in which the input came."""
    if isinstance(opened.input, PackedSequence):
        if opened.input.unsorted_indices is not None:
            final = tuple(state.index_select(1, opened.input.unsorted_indices) for state in final)
    elif not opened.batched:
        output, final = output.squeeze(1), tuple(state.squeeze(1) for state in final)
    elif layer.batch_first:
        output = output.transpose(0, 1)
    return output, final if len(final) > 1 else final[0]


def _check_input(layer: Recurrent, input: Tensor, shape: torch.Size) -> None:
    weight = layer.weight_ih_l0
    names = "[T, B, I]" if len(shape) == 3 else "[N, I]"
    if shape[-1] != layer.input_size:
        raise RuntimeError(
            f"{layer.call}: x has shape {list(shape)} = {names}, but input.size(-1) must be equal to input_size. "
            f"Expected {layer.input_size}, got {shape[-1]}"
        )
    if input.device != weight.device:
        raise RuntimeError(
            f"{layer.call}: Input and parameter tensors are not at the same device, found input tensor at "
            f"{input.device} and parameter tensor at {weight.device}; move one of them with .to(...)."
        )
    if input.dtype != weight.dtype and not torch.is_autocast_enabled(input.device.type):
        raise ValueError(
            f"{layer.call}: RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). "
            f"Convert input: input.to({weight.dtype}), or convert model: model.to({input.dtype})"
        )


def _as_states(layer: Recurrent, hx: Any, dim: int) -> tuple[Tensor, ...] | None:
    if hx is None:
        return None
    names = layer.cell.state_names
    states = (hx,) if isinstance(hx, Tensor) else tuple(hx)
    if len(states) != len(names) or (isinstance(hx, Tensor) and len(names) > 1):
        raise TypeError(
            f"{layer.call}: hx has {len(states)} state{'s' * (len(states) != 1)}, but this cell hands on "
            f"{len(names)}: give {'a tuple ' if len(names) > 1 else ''}({', '.join(names)})."
        )
    for name, state in zip(names, states, strict=True):
        if not isinstance(state, Tensor):
            raise TypeError(f"{layer.call}: the initial {name} is a {type(state).__name__}, but a tensor is needed.")
    if any(state.dim() != dim for state in states):
        kind = "batched 3-D" if dim == 3 else "unbatched 2-D"
        found = [f"{state.dim()}-D" for state in states]
        who, what = ("hx", f"{found[0]} tensor") if len(found) == 1 else ("hx and cx", f"({', '.join(found)}) tensors")
        raise RuntimeError(f"{layer.call}: For {kind} input, {who} should also be {dim}-D but got {what}")
    return states


def _initial(layer: Recurrent, states: tuple[Tensor, ...] | None, input: Tensor, B: int) -> tuple[Tensor, ...]:
    if states is None:
        return layer.initial_state(B, dtype=input.dtype)
    allowed = (input.dtype, wide(input.dtype))
    for k, (name, state, size) in enumerate(zip(layer.cell.state_names, states, layer.state_sizes, strict=True)):
        expected = (layer.num_layers * layer.num_directions, B, size)
        if tuple(state.shape) != expected:
            which = "hidden" if len(states) == 1 else f"hidden[{k}]"
            raise RuntimeError(
                f"{layer.call}: Expected {which} size {expected}, got {list(state.shape)} for the initial {name} "
                "= [layers x directions, B, units]"
            )
        if state.device != input.device:
            raise RuntimeError(
                f"{layer.call}: Input and hidden tensors are not at the same device, found input tensor at "
                f"{input.device} and the initial {name} at {state.device}; move one of them with .to(...)."
            )
        if state.dtype not in allowed:
            raise RuntimeError(
                f"{layer.call}: the initial {name} has dtype {state.dtype}, but the input has {input.dtype}: "
                f"mat1 and mat2 must have the same dtype; convert it with .to({input.dtype})."
            )
    return states


def _autocast(input: Tensor, states: tuple[Tensor, ...] | None) -> tuple[Tensor, tuple[Tensor, ...] | None]:
    """Inputs in the dtype autocast asks for; a float32 cell state is left as it is, being the better one."""
    kind = input.device.type
    if torch.is_autocast_enabled(kind) and input.dtype in (torch.float32, torch.bfloat16, torch.float16):
        input = input.to(torch.get_autocast_dtype(kind))
    return input, states


def _lengths(layer: Recurrent, lengths: Any, input: Tensor, batched: bool) -> Tensor | None:
    if lengths is None:
        return None
    T, B = input.shape[:2]
    if not isinstance(lengths, Tensor):
        lengths = torch.as_tensor(lengths)
    if lengths.dtype in (torch.bool,) or lengths.is_floating_point() or lengths.is_complex():
        raise ValueError(f"{layer.call}: lengths has dtype {lengths.dtype}, but whole numbers of steps are needed.")
    if not batched and lengths.dim() == 0:
        lengths = lengths[None]
    if lengths.shape != (B,):
        raise ValueError(
            f"{layer.call}: lengths has shape {list(lengths.shape)}, but the input has B = {B} rows: give one length a row."
        )
    inside = (lengths >= 0) & (lengths <= T)
    if not torch.compiler.is_compiling() and lengths.device.type == "cpu":
        if not inside.all():
            row = int((~inside).nonzero()[0])
            raise ValueError(
                f"{layer.call}: lengths[{row}] is {int(lengths[row])}, but the input has T = {T} steps: "
                f"every length lies in 0..{T}."
            )
    elif lengths.device.type == "cuda":
        torch._assert_async(inside.all(), f"{layer.call}: a length lies outside 0..{T}.")
    return lengths.to(device=input.device, dtype=torch.int64)


def _reset(layer: Recurrent, reset: Any, input: Tensor, batched: bool) -> Tensor | None:
    if reset is None:
        return None
    T, B = input.shape[:2]
    if not isinstance(reset, Tensor) or reset.dtype != torch.bool:
        found = reset.dtype if isinstance(reset, Tensor) else type(reset).__name__
        raise ValueError(f"{layer.call}: reset is {found}, but a bool tensor is needed: True where a sequence begins.")
    if not batched and reset.dim() == 1:
        reset = reset[:, None]
    elif batched and layer.batch_first and reset.dim() == 2:
        reset = reset.transpose(0, 1)
    if reset.shape != (T, B):
        wanted = [B, T] if batched and layer.batch_first else [T, B] if batched else [T]
        given = list(reset.T.shape) if batched and layer.batch_first and reset.dim() == 2 else list(reset.shape)
        names = "[B, T]" if batched and layer.batch_first else "[T, B]" if batched else "[T]"
        raise ValueError(f"{layer.call}: reset has shape {given}, but the input asks for {wanted} = {names}.")
    return reset.to(input.device)
