"""One layer in one direction as a single node of an ONNX file, for cells that ONNX has no operator for.

Only while `torch.onnx.export` traces: the node stands for the call, and whoever writes the file gives it a body
(`headgate.verbs.onnx_form`). A trace looks at shapes alone, so nothing is computed meanwhile: results are zeros.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from headgate.engines.contract import Call, Request, Result
from headgate.engines.operator import key

PRIORITY = -1
CAN = frozenset({"mean", "mask"})
ADVANTAGE = "one node of an ONNX file"
NODE = "headgate::recurrent"


def refusal(request: Request) -> str | None:
    """Why there is no node for what is asked, or None."""
    if not torch.onnx.is_in_onnx_export():
        return "it stands for a call in an ONNX file, and none is being written"
    if request.reset:
        return "its node knows no reset"
    if request.all_states:
        return "its node tells the first state alone"
    if request.masks:
        return "its node draws no masks; export in evaluation mode"
    return None


def forward(call: Call) -> Result:
    """A node with the call's tensors as inputs, and a name for everything else."""
    lengths = [] if call.lengths is None else [call.lengths]
    how = key(call.cell), tuple(call.weights), bool(lengths), call.reverse
    output, *final = _Node.apply(how, call.input, *call.weights.values(), *call.initial, *lengths)
    return Result(output, tuple(final))


class _Node(torch.autograd.Function):
    """See the module."""

    @staticmethod
    def forward(ctx: Any, how: tuple[str, tuple[str, ...], bool, bool], input: Tensor, *tensors: Tensor):
        _, names, has_lengths, _ = how
        initial = tensors[len(names) : len(tensors) - has_lengths]
        return input.new_zeros(*input.shape[:2], initial[0].shape[-1]), *(state.clone() for state in initial)

    @staticmethod
    def symbolic(graph: Any, how: tuple[str, tuple[str, ...], bool, bool], input: Any, *tensors: Any) -> Any:
        cell_key, names, has_lengths, reverse = how
        states = len(tensors) - len(names) - has_lengths
        told = {"cell_s": cell_key, "weights_s": " ".join(names), "lengths_i": has_lengths, "reverse_i": reverse}
        found = graph.op(NODE, input, *tensors, **told, outputs=1 + states)
        for value, like in zip(found, (input, *tensors[len(names) :]), strict=False):
            value.setType(like.type().with_sizes([None] * (3 if like is input else 2)))
        return found
