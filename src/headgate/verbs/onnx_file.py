"""A network as an ONNX file, run by onnxruntime and compared before it is called good."""

from __future__ import annotations

import io
import warnings

import onnx
import onnxruntime
import torch

from headgate.tasks.bench_task import Exported
from headgate.verbs.exporting import compare, other_sizes

OPSET = 17


def content(found: Exported) -> bytes:
    """The file's bytes.

    Raises:
        ValueError: torch cannot write the network so, onnxruntime cannot run it, or it computes something else.
    """
    names = list(found.inputs)
    axes = {name: dict(words) for name, words in found.axes.items()}
    buffer = io.BytesIO()
    try:
        # The exporter that traces: the one by torch.export does not know our layers' operator. What it warns of, sizes
        # that it may have kept, is what the comparison on other sizes is for.
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                found.module,
                tuple(found.inputs.values()),
                buffer,
                dynamo=False,
                opset_version=OPSET,
                input_names=names,
                output_names=list(found.outputs),
                dynamic_axes=axes,
            )
        onnx.checker.check_model(onnx.load_from_string(buffer.getvalue()))
        session = onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
        inputs = other_sizes(found)
        fed = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
        outputs = session.run(list(found.outputs), fed)
    except Exception as reason:  # either library's own kinds of errors
        line = " ".join(str(reason).split())[:200]
        raise ValueError(f"this network cannot be written as ONNX ({type(reason).__name__}: {line}).") from None
    compare(found, inputs, [torch.from_numpy(value) for value in outputs], "onnxruntime")
    return buffer.getvalue()
