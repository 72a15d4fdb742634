"""OpenVINO on a CPU, inference, in float32 or, where the processor has it, bf16."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import openvino
from openvino import properties

from benchmarks import onnx_model
from benchmarks.peers import Contender
from benchmarks.problem import Problem
from benchmarks.workloads import Workload

WORDS = "OpenVINO"
VERSION = version("openvino")


def refusal(workload: Workload) -> str | None:
    """Why OpenVINO does not run this, or None."""
    if workload.dtype == "bfloat16" and "BF16" not in openvino.Core().get_property(
        "CPU", properties.device.capabilities
    ):
        return "this processor has no bf16 instructions, and OpenVINO would compute in float32"
    return onnx_model.refusal(workload)


def prepare(problem: Problem, threads: int) -> Contender:
    """The model, compiled for latency."""
    core = openvino.Core()
    precision = openvino.Type.bf16 if problem.workload.dtype == "bfloat16" else openvino.Type.f32
    settings = {
        properties.inference_num_threads: threads,
        properties.hint.performance_mode: properties.hint.PerformanceMode.LATENCY,
        properties.hint.inference_precision: precision,
    }
    request = core.compile_model(core.read_model(onnx_model.model(problem)), "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(problem.x.numpy()))

    def run() -> np.ndarray:
        request.infer()
        return request.get_output_tensor().data

    def named(result: np.ndarray) -> dict[str, np.ndarray]:
        return {"output": result.astype(np.float32).reshape(problem.x.shape)}

    return Contender(run, named)
