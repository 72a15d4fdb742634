"""torch's own kernels (oneDNN on a CPU, cuDNN on a GPU), for the plain cells where nothing asks for more.

These kernels take whole stacks, so beside the contract's `forward` there is `stack`, which nn hands all layers and
directions to at once: then a layer of ours makes the very call that torch.nn makes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from headgate.cells import get
from headgate.engines.contract import HALF, Call, Request, Result, in_transform

PRIORITY = 10
ADVANTAGE = "torch's own kernel, for a plain cell"

_LSTM = get("lstm")
_KERNELS = {
    _LSTM: torch.lstm,
    get("lstm", projection=True): torch.lstm,
    get("gru"): torch.gru,
    get("rnn"): torch.rnn_tanh,
    get("relu_rnn"): torch.rnn_relu,
}


def refusal(request: Request) -> str | None:
    """Why torch's kernels cannot do what is asked, or None."""
    if request.cell not in _KERNELS:
        return f"torch has no kernel for {request.cell.name}"
    if request.lengths and request.device.type == "meta":
        return "packing needs lengths that are there, and the meta device holds none"
    if request.reset:
        return "torch's kernels know no reset"
    if request.all_states:
        return "torch's kernels keep the cell state to themselves"
    if request.dtype in HALF and request.device.type == "cpu":
        return "torch's CPU kernels carry the state in half precision, which loses small additions"
    if in_transform():
        return "torch's kernels cannot be vmapped or differentiated forward"
    return None


def forward(call: Call) -> Result:
    """One layer in one direction, as the contract has it."""
    input = _reversed(call.input, call.lengths) if call.reverse else call.input
    weights = list(call.weights.values())
    initial = tuple(state.unsqueeze(0) for state in call.initial)
    output, final = stack(
        call.cell, input, initial, weights, has_bias="bias_ih" in call.weights, lengths=call.lengths
    )
    if call.reverse:
        output = _reversed(output, call.lengths)
    return Result(output, tuple(state.squeeze(0) for state in final))


def stack(
    cell,
    input: Tensor | PackedSequence,
    initial: tuple[Tensor, ...],
    weights: list[Tensor],
    *,
    has_bias: bool,
    num_layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
    training: bool = False,
    lengths: Tensor | None = None,
) -> tuple[Tensor | PackedSequence, tuple[Tensor, ...]]:
    """All layers and directions in torch's kernel.

    Args:
        cell: one of the plain cells.
        input: [T, B, I], or packed.
        initial: states [L D, B, ...], in the order of the rows (of the packed batch, if packed).
        weights: of all layers and directions in torch.nn's order.
        lengths: valid steps of each row, [B], zeros allowed; not with a packed input.

    Returns:
        Output [T, B, D O] or packed, and final states like `initial`.
    """
    # cuDNN refuses a backward pass in eval mode. Without dropout its "train" means only "keep what backward needs".
    dropped = dropout if training else 0.0
    settings = (has_bias, num_layers, dropped, training or torch.is_grad_enabled(), bidirectional)
    if lengths is not None:
        return _with_lengths(cell, input, initial, weights, lengths, settings)
    data = input.data if isinstance(input, PackedSequence) else input
    # The kernels take states in the input's dtype only, and cuDNN dense ones only.
    states = tuple(state.to(data.dtype).contiguous() for state in initial)
    hx = states if cell.state_names == _LSTM.state_names else states[0]
    kernel = _KERNELS[cell]
    if isinstance(input, PackedSequence):
        output, *final = kernel(data, input.batch_sizes, hx, weights, *settings)
        output = PackedSequence(output, *input[1:])
    else:
        output, *final = kernel(data, hx, weights, *settings, False)
    return output, tuple(new.to(old.dtype) for old, new in zip(initial, final, strict=True))


def _with_lengths(cell, input, initial, weights, lengths, settings) -> tuple[Tensor, tuple[Tensor, ...]]:
    """By packing the rows that have any steps; the others keep their initial state."""
    has_bias, num_layers, dropout, training, bidirectional = settings
    rows = lengths.nonzero().flatten()
    if len(rows) == 0:
        # Nothing runs, but a backward pass shall still find its way, and zero gradients at its end.
        nowhere = torch.zeros((), dtype=torch.bool, device=input.device)
        nothing = sum(torch.where(nowhere, value, torch.zeros_like(value)).sum() for value in (input, *weights))
        width = initial[0].shape[-1] * (2 if bidirectional else 1)
        return nothing.expand(*input.shape[:2], width).clone(), tuple(state.clone() for state in initial)
    packed = pack_padded_sequence(input.index_select(1, rows), lengths[rows].cpu(), enforce_sorted=False)
    in_order = tuple(state.index_select(1, rows).index_select(1, packed.sorted_indices) for state in initial)
    output, final = stack(
        cell,
        packed,
        in_order,
        weights,
        has_bias=has_bias,
        num_layers=num_layers,
        bidirectional=bidirectional,
        dropout=dropout,
        training=training,
    )
    padded, _ = pad_packed_sequence(output, total_length=len(input))
    whole = padded.new_zeros(*input.shape[:2], padded.shape[-1]).index_copy(1, rows, padded)
    restored = (state.index_select(1, packed.unsorted_indices) for state in final)
    return whole, tuple(old.index_copy(1, rows, new) for old, new in zip(initial, restored, strict=True))


def _reversed(sequences: Tensor, lengths: Tensor | None) -> Tensor:
    """Each row read from its own end; what lies past the end stays where it is."""
    if lengths is None:
        return sequences.flip(0)
    times = torch.arange(len(sequences), device=sequences.device)[:, None]
    mirrored = torch.where(times < lengths, lengths - 1 - times, times)
    return sequences.gather(0, mirrored[:, :, None].expand_as(sequences))
