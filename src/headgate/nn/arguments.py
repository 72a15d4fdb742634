"""What may be given to a layer's `forward`: checked, and brought into one form. Wording follows torch.nn's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from headgate.engines import in_transform, is_followed, wide

if TYPE_CHECKING:
    from headgate.nn.recurrent import Recurrent


# What autocast turns into its own dtype; float64 it leaves alone.
CASTABLE = (torch.float32, torch.bfloat16, torch.float16)


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


@dataclass(frozen=True)
class _Form:
    """How the user's tensors are laid out, for messages."""

    layer: Recurrent
    batched: bool
    packed: bool = False

    @property
    def input(self) -> str:
        if self.packed:
            return "[N, I]"
        return "[T, I]" if not self.batched else "[B, T, I]" if self.layer.batch_first else "[T, B, I]"

    @property
    def steps(self) -> str:
        return self.input.replace(", I", "")

    @property
    def state(self) -> str:
        return "[layers x directions, B, units]" if self.batched else "[layers x directions, units]"

    def sizes(self, T: int, B: int) -> list[int]:
        return [{"T": T, "B": B}[letter] for letter in self.steps.strip("[]").split(", ")]


def open_sequences(
    layer: Recurrent, weight: Tensor, input: Any, hx: Any = None, lengths: Any = None, reset: Any = None
) -> Sequences:
    """Check the arguments of `forward` and bring them into one form.

    Args:
        layer: whose.
        weight: its first weight, which says where the layer is and in which dtype.
        input, hx, lengths, reset: as in `Recurrent.forward`.

    Raises:
        TypeError: something is of a type that cannot be meant.
        ValueError: dimensions, dtypes, lengths or resets that cannot be meant.
        RuntimeError: sizes or devices that disagree with the layer.
    """
    if isinstance(input, PackedSequence):
        return _open_packed(layer, weight, input, hx, lengths, reset)
    if not isinstance(input, Tensor):
        came = type(input).__name__
        raise TypeError(f"{layer.call}: the input is of type {came}, but a tensor or PackedSequence is needed.")
    if input.dim() not in (2, 3):
        kind = "D tensor" if layer.mode.startswith("RNN_") else "D"
        raise ValueError(
            f"{layer.call}: x has shape {list(input.shape)}, but {layer.family}: Expected input to be 2D or 3D, got "
            f"{input.dim()}{kind} instead; give {_Form(layer, True).input} or [T, I]."
        )
    form = _Form(layer, input.dim() == 3)
    states = _as_states(layer, hx, 3 if form.batched else 2)
    _check_input(form, weight, input)
    if not form.batched:
        input = input.unsqueeze(1)
        states = states and tuple(state.unsqueeze(1) for state in states)
    elif layer.batch_first:
        input = input.transpose(0, 1)
    T, B = input.shape[:2]
    if T == 0:
        raise RuntimeError(f"{layer.call}: Expected sequence length to be larger than 0 in RNN; x has no steps.")
    input = _autocast(input)
    initial = _initial(form, weight, states, input, B)
    return Sequences(input, initial, _lengths(form, lengths, input), _reset(form, reset, input), form.batched)


def _open_packed(
    layer: Recurrent, weight: Tensor, input: PackedSequence, hx: Any, lengths: Any, reset: Any
) -> Sequences:
    for name, value in (("lengths", lengths), ("reset", reset)):
        if value is not None:
            raise ValueError(
                f"{layer.call}: {name} was given beside a PackedSequence, which carries its own lengths and no resets; "
                "give the padded tensor instead."
            )
    if input.data.dim() != 2:
        raise RuntimeError(f"{layer.call}: input must have 2 dimensions, got {input.data.dim()}; pack [T, B, I].")
    steps = int(input.batch_sizes.sum())
    if steps != len(input.data):
        raise RuntimeError(
            f"{layer.call}: the PackedSequence holds {len(input.data)} steps, but its batch_sizes add up to {steps}; "
            "make it with pack_padded_sequence or pack_sequence."
        )
    form = _Form(layer, batched=True, packed=True)
    _check_input(form, weight, input.data)
    states = _as_states(layer, hx, 3)
    data = _autocast(input.data)
    packed = PackedSequence(data, input.batch_sizes, input.sorted_indices, input.unsorted_indices)
    initial = _initial(form, weight, states, data, int(input.batch_sizes[0]))
    if input.sorted_indices is not None and states is not None:
        initial = tuple(state.index_select(1, input.sorted_indices) for state in initial)
    return Sequences(packed, initial, None, None, True)


def check_step(layer: Recurrent, input: Any) -> bool:
    """Check the input of `step`, [B, I] or [I]; says whether it has a batch dimension.

    Raises:
        TypeError: not a tensor.
        ValueError: other dimensions.
        RuntimeError: another input size.
    """
    if not isinstance(input, Tensor):
        came = type(input).__name__
        raise TypeError(f"{layer.call}: step's input is of type {came}, but a tensor is needed, [B, I] or [I].")
    shape = list(input.shape)
    if input.dim() not in (1, 2):
        raise ValueError(
            f"{layer.call}: step got {shape}, but one step is [B, I] or [I]; forward takes sequences."
        )
    if shape[-1] != layer.input_size:
        raise RuntimeError(
            f"{layer.call}: step got shape {shape} = {'[B, I]' if len(shape) == 2 else '[I]'}, but input.size(-1) must "
            f"be equal to input_size. Expected {layer.input_size}, got {shape[-1]}"
        )
    return input.dim() == 2


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


def autocast_dtype(device: torch.device) -> torch.dtype | None:
    """The dtype autocast asks for on a device, None where it is off."""
    kind = device.type
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        return None
    return torch.get_autocast_dtype(kind)


def _autocast(input: Tensor) -> Tensor:
    asked = autocast_dtype(input.device)
    return input.to(asked) if asked is not None and input.dtype in CASTABLE else input


def _check_input(form: _Form, weight: Tensor, input: Tensor) -> None:
    layer, shape = form.layer, list(input.shape)
    if shape[-1] != layer.input_size:
        raise RuntimeError(
            f"{layer.call}: x has shape {shape} = {form.input}, but input.size(-1) must be equal to input_size. "
            f"Expected {layer.input_size}, got {shape[-1]}"
        )
    if input.device != weight.device:
        raise RuntimeError(
            f"{layer.call}: Input and parameter tensors are not at the same device, found input tensor at "
            f"{input.device} and parameter tensor at {weight.device}; move one of them with .to(...)."
        )
    if input.dtype == weight.dtype:
        return
    if autocast_dtype(input.device) is None or input.dtype not in CASTABLE:
        other = f", or convert model: model.to({input.dtype})" if input.is_floating_point() else ""
        raise ValueError(
            f"{layer.call}: RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). "
            f"Convert input: input.to({weight.dtype}){other}"
        )


def _as_states(layer: Recurrent, hx: Any, dim: int) -> tuple[Tensor, ...] | None:
    if hx is None:
        return None
    names = layer.cell.state_names
    wanted = f"one tensor, {names[0]}" if len(names) == 1 else f"a tuple ({', '.join(names)})"
    if not isinstance(hx, (Tensor, tuple, list)):
        raise TypeError(f"{layer.call}: hx is of type {type(hx).__name__}, but this cell's state is {wanted}.")
    states = (hx,) if isinstance(hx, Tensor) else tuple(hx)
    if len(states) != len(names) or (isinstance(hx, Tensor) and len(names) > 1):
        came = "one tensor" if isinstance(hx, Tensor) else f"{len(states)} states"
        raise TypeError(f"{layer.call}: hx is {came}, but this cell's state is {wanted}.")
    for name, state in zip(names, states, strict=True):
        if not isinstance(state, Tensor):
            came = type(state).__name__
            raise TypeError(f"{layer.call}: the initial {name} is of type {came}, but a tensor is needed.")
    if any(state.dim() != dim for state in states):
        kind = "batched 3-D" if dim == 3 else "unbatched 2-D"
        found = [f"{state.dim()}-D" for state in states]
        who, what = ("hx", f"{found[0]} tensor") if len(found) == 1 else ("hx and cx", f"({', '.join(found)}) tensors")
        form = _Form(layer, dim == 3).state
        raise RuntimeError(f"{layer.call}: For {kind} input, {who} should also be {dim}-D but got {what}; give {form}.")
    return states


def _initial(
    form: _Form, weight: Tensor, states: tuple[Tensor, ...] | None, input: Tensor, B: int
) -> tuple[Tensor, ...]:
    layer = form.layer
    if states is None:
        return layer.initial_state(B, dtype=input.dtype, device=input.device)
    allowed = (input.dtype, wide(input.dtype))
    for k, (name, state, size) in enumerate(zip(layer.cell.state_names, states, layer.state_sizes, strict=True)):
        rows = layer.num_layers * layer.num_directions
        if tuple(state.shape) != (rows, B, size):
            which = "hidden" if len(states) == 1 else f"hidden[{k}]"
            expected = (rows, B, size) if form.batched else (rows, size)
            given = list(state.shape) if form.batched else [state.shape[0], state.shape[-1]]
            raise RuntimeError(
                f"{layer.call}: Expected {which} size {expected}, got {given} for the initial {name} = {form.state}"
            )
        if state.device != input.device:
            raise RuntimeError(
                f"{layer.call}: Input and hidden tensors are not at the same device, found input tensor at "
                f"{input.device} and the initial {name} at {state.device}; move one of them with .to(...)."
            )
        # Under autocast the states may still be in the parameters' dtype; the cell state is better off so.
        if state.dtype not in allowed and not (input.dtype != weight.dtype and state.dtype == weight.dtype):
            raise RuntimeError(
                f"{layer.call}: the initial {name} has dtype {state.dtype} and the input {input.dtype}, but "
                f"mat1 and mat2 must have the same dtype; convert it with .to({input.dtype})."
            )
    return states


def _lengths(form: _Form, lengths: Any, input: Tensor) -> Tensor | None:
    if lengths is None:
        return None
    layer, (T, B) = form.layer, input.shape[:2]
    if not isinstance(lengths, Tensor):
        try:
            # An empty list would come out as floating point.
            empty = isinstance(lengths, list) and not lengths
            lengths = torch.tensor(lengths, dtype=torch.int64 if empty else None, device="cpu")
        except (TypeError, ValueError, RuntimeError):
            raise ValueError(
                f"{layer.call}: lengths={lengths!r} cannot be read as numbers of steps; give a whole number in 0..{T} "
                "a row."
            ) from None
    if lengths.dtype == torch.bool or lengths.is_floating_point() or lengths.is_complex():
        raise ValueError(f"{layer.call}: lengths has dtype {lengths.dtype}, but whole numbers of steps are needed.")
    if lengths.is_meta and not input.is_meta:
        raise ValueError(f"{layer.call}: lengths is on the meta device, which holds no numbers; give real ones.")
    if not form.batched and lengths.dim() == 0:
        lengths = lengths[None]
    if lengths.shape != (B,):
        wanted = f"the input has B = {B} rows: give one length a row" if form.batched else "x is one sequence: give one"
        raise ValueError(f"{layer.call}: lengths has shape {list(lengths.shape)}, but {wanted}.")
    _check_range(layer, lengths, T)
    return lengths.to(device=input.device, dtype=torch.int64)


def _check_range(layer: Recurrent, lengths: Tensor, T: int) -> None:
    """Every length in 0..T; on a GPU the check runs there, so that nothing waits for it."""
    if torch.compiler.is_compiling() or lengths.is_meta or in_transform() or is_followed():
        return
    inside = (lengths >= 0) & (lengths <= T)
    if lengths.device.type == "cuda":
        torch._assert_async(inside.all(), f"{layer.call}: a length lies outside 0..{T}.")
    elif not inside.all():
        row = int((~inside).nonzero()[0])
        raise ValueError(
            f"{layer.call}: lengths[{row}] is {int(lengths[row])}, but the input has T = {T} steps: give lengths in "
            f"0..{T}."
        )


def _reset(form: _Form, reset: Any, input: Tensor) -> Tensor | None:
    if reset is None:
        return None
    layer, (T, B) = form.layer, input.shape[:2]
    if not isinstance(reset, Tensor) or reset.dtype != torch.bool:
        came = f"has dtype {reset.dtype}" if isinstance(reset, Tensor) else f"is of type {type(reset).__name__}"
        raise ValueError(f"{layer.call}: reset {came}, but a bool tensor is needed: True where a sequence begins.")
    if reset.is_meta and not input.is_meta:
        raise ValueError(f"{layer.call}: reset is on the meta device, which holds no values; give a real mask.")
    if list(reset.shape) != form.sizes(T, B):
        raise ValueError(
            f"{layer.call}: reset has shape {list(reset.shape)}, but the input asks for {form.sizes(T, B)} = "
            f"{form.steps}."
        )
    if not form.batched:
        reset = reset[:, None]
    elif form.layer.batch_first:
        reset = reset.transpose(0, 1)
    return reset.to(input.device)
