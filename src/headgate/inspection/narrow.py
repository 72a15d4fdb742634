"""A few rows of what a watch has seen, so that looking at them costs what they cost, not what the batch would.

A call is narrowed before it is run again, so that the recomputation is narrow too. Masks (dropout between layers,
zoneout) belong to a row's place in the batch, so where a call drew some it is run again whole, and what came out is
narrowed. Either way the numbers are those of the first rows of the batch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from headgate.inspection.capture import Capture, Watch
from headgate.inspection.recompute import LayerRun, recompute


def narrow_watch(seen: Watch, rows: int) -> None:
    """Keep only the first rows of every call that a watch has seen, in the user's order of rows.

    To be called after the backward pass and before the first trace is asked for.
    """
    seen.narrow(lambda capture, name: narrow_call(capture, name, rows))


def narrow_call(capture: Capture, name: str, rows: int) -> Capture:
    """The first rows of one captured call, as if no other had been in the batch.

    Args:
        capture: not changed.
        name: of its module, for messages.
        rows: how many; a batch with no more is left as it is.

    Raises:
        RuntimeError: it drew masks, and run again it gives another output.
    """
    input = capture.arguments.get("input")
    batched = isinstance(input, PackedSequence) or (isinstance(input, Tensor) and input.dim() == 3)
    if capture.unreadable or not batched or _rows_of(capture, input) <= rows:
        return capture
    if isinstance(input, PackedSequence):
        part = _PackedRows(input, rows)
        sequences, packed = part.data, part.packed
    else:
        axis = 0 if capture.module.batch_first else 1
        sequences, packed = (lambda value: value.narrow(axis, 0, rows)), None
    narrowed = replace(
        capture,
        arguments=_arguments(capture, rows, sequences, packed),
        output=sequences(capture.output),
        gradients={
            key: sequences(value) if key == "output" else value[:, :rows] for key, value in capture.gradients.items()
        },
        layers=None,
        handles=[],
        live=[],
    )
    if capture.random_state is not None:
        layers = recompute(capture, name or "the model") if capture.layers is None else capture.layers
        narrowed.layers = [[_layer_run(run, rows, packed) for run in runs] for runs in layers]
    return narrowed


def _rows_of(capture: Capture, input: Tensor | PackedSequence) -> int:
    if isinstance(input, PackedSequence):
        return int(input.batch_sizes[0])
    return input.shape[0 if capture.module.batch_first else 1]


def _arguments(capture: Capture, rows: int, sequences, packed: PackedSequence | None) -> dict[str, Any]:
    """What the call was given, for these rows."""
    found = dict(capture.arguments)
    found["input"] = sequences(found["input"]) if packed is None else packed
    hx = found.get("hx")
    if hx is not None:
        found["hx"] = hx[:, :rows] if isinstance(hx, Tensor) else tuple(state[:, :rows] for state in hx)
    if found.get("lengths") is not None:
        found["lengths"] = found["lengths"][:rows]
    if found.get("reset") is not None:
        found["reset"] = sequences(found["reset"])
    return found


def _layer_run(whole: LayerRun, rows: int, packed: PackedSequence | None) -> LayerRun:
    """The first rows of a layer and direction that was run again; its rows stand in the user's order."""
    run, mask = whole.run, whole.dropout_mask
    masks = {name: m[:, :rows] if isinstance(m, Tensor) else m for name, m in run.masks.items()}
    return replace(
        whole,
        run=replace(
            run,
            input=run.input[:, :rows],
            initial={name: value[:rows] for name, value in run.initial.items()},
            states={name: value[:, :rows] for name, value in run.states.items()},
            active=run.active[:, :rows],
            fresh=run.fresh[:, :rows],
            masks=masks,
            kept=None,
        ),
        opened=whole.opened if packed is None else replace(whole.opened, input=packed),
        dropout_mask=None if mask is None else mask[:, :rows],
    )


class _PackedRows:
    """Where the first rows, in the user's order, stand in a packed batch."""

    def __init__(self, whole: PackedSequence, rows: int) -> None:
        first = torch.arange(rows, device=whole.data.device)
        places = first if whole.unsorted_indices is None else whole.unsorted_indices[:rows].sort().values
        there = places.cpu() < whole.batch_sizes[:, None]  # [T, rows]
        sizes = there.sum(1)
        starts = whole.batch_sizes.cumsum(0) - whole.batch_sizes
        self._index = (starts[:, None] + places.cpu())[there].to(whole.data.device)
        order = None if whole.sorted_indices is None else whole.sorted_indices[places]
        back = None if order is None else order.argsort()
        self.packed = PackedSequence(self.data(whole.data), sizes[sizes > 0], order, back)

    def data(self, value: Tensor) -> Tensor:
        """These rows of packed data, [N, ...], packed again."""
        return value.index_select(0, self._index)
