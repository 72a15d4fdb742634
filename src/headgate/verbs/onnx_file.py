"""A network as an ONNX file, run by onnxruntime and compared before it is called good."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from typing import Any

import onnx
import onnxruntime
import torch
from torch import nn

from headgate.engines import operator
from headgate.tasks.bench_task import Exported
from headgate.verbs.exporting import compare, other_sizes
from headgate.verbs.onnx_form import DOMAIN, OPSET, function


def content(found: Exported, traced: nn.Module) -> bytes:
    """The file's bytes.

    Args:
        found: what is to be exported.
        traced: its module, with engines in its layers that ONNX has nodes for.

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
                traced,
                tuple(found.inputs.values()),
                buffer,
                dynamo=False,
                opset_version=OPSET,
                input_names=names,
                output_names=list(found.outputs),
                dynamic_axes=axes,
                custom_opsets={DOMAIN: 1},
            )
        model = _with_names(with_bodies(onnx.load_from_string(buffer.getvalue())), found.outputs)
        onnx.checker.check_model(model)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        inputs = other_sizes(found)
        fed = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
        outputs = session.run(list(found.outputs), fed)
    except Exception as reason:  # either library's own kinds of errors
        line = " ".join(str(reason).split())[:200]
        raise ValueError(f"this network cannot be written as ONNX ({type(reason).__name__}: {line}).") from None
    compare(found, inputs, [torch.from_numpy(value) for value in outputs], "onnxruntime")
    return model.SerializeToString()


def _with_names(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """A model whose outputs have their names; torch's exporter forgets those of results that no input changes."""
    for output, name in zip(model.graph.output, names, strict=True):
        if output.name != name:
            model.graph.node.append(onnx.helper.make_node("Identity", [output.name], [name]))
            output.name = name
    return model


def with_bodies(model: onnx.ModelProto) -> onnx.ModelProto:
    """A model in which every node of ours calls a function that the model holds; one function serves equal calls."""
    calls: dict[tuple[Any, ...], str] = {}
    for node in model.graph.node:
        if node.domain == DOMAIN:
            told = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
            cell, weights = operator.cell_of(told["cell"].decode()), told["weights"].decode().split()
            call = cell, tuple(weights), bool(told["lengths"]), bool(told["reverse"])
            word = re.sub(r"\W+", "_", cell.name).strip("_")
            node.op_type = calls.setdefault(call, f"{word}_{len(calls)}")
            del node.attribute[:]
    model.functions.extend(function(cell, name, *how) for (cell, *how), name in calls.items())
    return model
