"""Calls of one module that go on from each other, as a decoder's step by step, told as one sequence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

if TYPE_CHECKING:
    from headgate.inspection.capture import Capture

# What a call may be given, for its steps to be put after those of another.
FORM = {"input", "hx"}
READ_BETWEEN = (
    "a state that is not its output (a cell state, or a lower layer's) was read between two calls that go on from each "
    "other, which watch cannot follow; read the output, or give it the whole sequence in one call."
)


# Tensors, and how often each was changed.
Versions = tuple[tuple[Tensor, int], ...]


def versions(values: Iterable[Tensor]) -> Versions:
    """Tensors as they are now; of those of inference mode nobody counts the changes."""
    return tuple((value, -1 if value.is_inference() else value._version) for value in values)


def weights_now(module: nn.Module) -> Versions | None:
    """A module's weights; None where they are computed at every call."""
    return None if parametrize.is_parametrized(module) else versions(module.parameters())


def states_of(hx: Any) -> tuple[Tensor, ...]:
    """A call's states one by one; none where there are none, or something else came."""
    values = hx if isinstance(hx, tuple) else (hx,)
    return values if all(isinstance(value, Tensor) for value in values) else ()


def goes_on(earlier: Capture, module: nn.Module, arguments: Mapping[str, Any]) -> bool:
    """Whether a call begins with the very states that an earlier one left, and could have been the same call."""
    given = states_of(arguments.get("hx"))
    if not given or not _are_same(versions(given), earlier.final):
        return False
    if not _is_plain(arguments) or not _is_plain(earlier.arguments):
        return False
    before, now = earlier.arguments["input"], arguments["input"]
    rows = 0 if module.batch_first else 1
    alike = before.dim() == now.dim() and before.dtype == now.dtype
    if not alike or (now.dim() == 3 and before.shape[rows] != now.shape[rows]):
        return False
    if earlier.unreadable or module.bidirectional or earlier.random_state is not None:
        return False
    own = weights_now(module)
    return own is not None and earlier.versions is not None and _are_same(own, earlier.versions)


def whole(last: Capture) -> Capture:
    """A call with all that it went on from, as one call; itself if it went on from none."""
    if last.earlier is None:
        return last
    parts = last.parts()
    axis = 1 if last.module.batch_first and last.output.dim() == 3 else 0
    joined = replace(
        last,
        arguments={
            "input": torch.cat([part.arguments["input"] for part in parts], axis),
            "hx": parts[0].arguments.get("hx"),
        },
        output=torch.cat([part.output for part in parts], axis),
        gradients={key: value for key, value in last.gradients.items() if key.startswith("final_")},
        unreadable=next((part.unreadable for part in parts if part.unreadable), None),
        earlier=None,
        layers=None,
        handles=[],
        live=[],
    )
    if any(part.gradients for part in parts):
        found = [_output_gradient(part, after, axis) for part, after in zip(parts, [*parts[1:], None], strict=True)]
        if any(value is None for value in found):
            joined.unreadable = joined.unreadable or READ_BETWEEN
        else:
            joined.gradients["output"] = torch.cat(found, axis)
    return joined


def _is_plain(arguments: Mapping[str, Any]) -> bool:
    """Whether a call has whole rows, without lengths and resets."""
    there = {name for name, value in arguments.items() if value is not None}
    return there <= FORM and isinstance(arguments.get("input"), Tensor)


def _are_same(one: Versions, other: Versions) -> bool:
    """Whether these are the very same tensors, unchanged."""
    pairs = zip(one, other, strict=False)
    return len(one) == len(other) and all(a is b and n == m for (a, n), (b, m) in pairs)


def _output_gradient(part: Capture, after: Capture | None, axis: int) -> Tensor | None:
    """What came to a call's output, and to the final states beside what the next call sent back to them.

    None where some of that came to a state which is no output.
    """
    found = part.gradients.get("output")
    found = torch.zeros_like(part.output) if found is None else found.clone()
    if after is None:
        return found
    finals = {key.partition("_")[2]: value for key, value in part.gradients.items() if key.startswith("final_")}
    for k, arrived in finals.items():
        sent = after.gradients.get(f"given_{k}")
        rest = arrived if sent is None else arrived - sent
        if k == "0":
            found.select(axis, -1).add_(rest[-1])
            rest = rest[:-1]
        if rest.any():
            return None
    return found
