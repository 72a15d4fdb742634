"""onnxruntime's CPU provider, inference: one LSTM or GRU node with constant weights."""

from __future__ import annotations

import numpy as np
import onnxruntime

from benchmarks import onnx_model
from benchmarks.peers import Contender
from benchmarks.problem import Problem
from benchmarks.workloads import Workload

WORDS = "onnxruntime"
VERSION = onnxruntime.__version__


def refusal(workload: Workload) -> str | None:
    """Why onnxruntime does not run this, or None."""
    if workload.dtype != "float32":
        return "its recurrent nodes compute in float32 on a CPU"
    return onnx_model.refusal(workload)


def prepare(problem: Problem, threads: int) -> Contender:
    """A session on the model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        onnx_model.model(problem), sess_options=options, providers=["CPUExecutionProvider"]
    )
    given = {"x": problem.x.numpy()}

    def named(results: list[np.ndarray]) -> dict[str, np.ndarray]:
        return {"output": results[0][:, 0]}

    return Contender(lambda: session.run(None, given), named)
