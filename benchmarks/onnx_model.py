"""A problem's layer as an ONNX model with its weights as constants, for the runtimes that read those."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.problem import Problem
from benchmarks.workloads import FORWARD, Workload

# Old enough for every runtime of the last years.
OPSET, IR_VERSION = 17, 8
# ONNX's row blocks, as places in ours: i o f c of i f g o, and z r h of r z n.
LAYERS = {"lstm": ("LSTM", (0, 3, 1, 2)), "gru": ("GRU", (1, 0, 2))}


def refusal(workload: Workload) -> str | None:
    """Why there is no such model, or None."""
    if workload.mode != FORWARD:
        return "it runs whole sequences without gradients"
    if workload.cell not in LAYERS or workload.options or workload.lengths:
        return "it is run on the plain layers, without lengths"
    return None


def model(problem: Problem) -> bytes:
    """The model: input "x" [T, B, I], output "y" [T, 1, B, H]."""
    workload = problem.workload
    kind, order = LAYERS[workload.cell]
    blocks = {name: np.split(value.numpy(), len(order)) for name, value in problem.weights.items()}
    ordered = {name: np.concatenate([parts[k] for k in order])[None] for name, parts in blocks.items()}
    constants = {
        "W": ordered["weight_ih"],
        "R": ordered["weight_hh"],
        "B": np.concatenate([ordered["bias_ih"], ordered["bias_hh"]], axis=1),
    }
    # A GRU that applies its reset gate after the product, as torch does.
    further = {"linear_before_reset": 1} if kind == "GRU" else {}
    node = helper.make_node(kind, ["x", "W", "R", "B"], ["y"], hidden_size=workload.H, **further)
    shape = [workload.T, workload.B, workload.I]
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [shape[0], 1, *shape[1:]])],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(made)
    return made.SerializeToString()
