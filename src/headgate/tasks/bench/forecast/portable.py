"""A forecaster as other programs run it: standardised windows to what the head says of the steps to come."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headgate.tasks.bench.forecast.network import Forecaster
from headgate.tasks.bench.forecast.scaling import Widths, static_numbers
from headgate.tasks.bench_task import Encoding, Exported

# Rows of the examples that a program is traced with: more than one, so that they are not taken for a constant.
ROWS = 2


class Portable(nn.Module):
    """Tensors by `names`, as `batch_of` makes them, to what the head states, in its order.

    Args:
        network: in evaluation mode.
        names: of the inputs.
        empty: columns that the network reads, of which there are none here: [steps, B, 0], by name, or [B, 0] for 0.
    """

    def __init__(self, network: Forecaster, names: tuple[str, ...], empty: dict[str, int]) -> None:
        super().__init__()
        self.network, self.names, self.empty = network, names, empty

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.stated(*tensors).values())

    def stated(self, *tensors: Tensor) -> dict[str, Tensor]:
        """The same by name."""
        batch = dict(zip(self.names, tensors, strict=True))
        first = batch["history"]
        for name, steps in self.empty.items():
            batch[name] = first.new_zeros(*[steps] * (steps > 0), first.shape[1], 0)
        batch.setdefault("size", torch.ones_like(first[0]))
        return self.network.head.stated(*self.network(batch, shorter=True))


def exported(network: Forecaster, encoding: Encoding) -> Exported:
    """A window is as long as the look-back, with zeros after a shorter history; steps and columns are fixed."""
    widths, L, H = Widths.of(encoding), encoding["lookback"], encoding["horizon"]
    columns = {"past": (L, widths.past), "known": (L, widths.known), "ahead": (H, widths.known)}
    columns["numbers"] = 0, static_numbers(encoding)
    inputs = {"history": torch.zeros(L, ROWS, widths.targets)}
    if network.missing:
        inputs["history_seen"] = torch.ones(L, ROWS, widths.targets)
    for name, (steps, width) in columns.items():
        if width:
            inputs[name] = torch.zeros(*[steps] * (steps > 0), ROWS, width)
    if len(network.categories):
        inputs["codes"] = torch.zeros(ROWS, len(network.categories), dtype=torch.int64)
    # What a standard deviation is in the data's units: asked of those that need it alone.
    if network.normalise == "mean" or network.head.reads_unit:
        inputs["size"] = torch.ones(ROWS, widths.targets)
    inputs["lengths"] = torch.tensor([L, max(1, L - 1)])
    axes = {name: {int(value.dim() == 3): "batch"} for name, value in inputs.items()}
    module = Portable(network, tuple(inputs), {name: steps for name, (steps, width) in columns.items() if not width})
    with torch.no_grad():
        outputs = tuple(module.stated(*inputs.values()))
    return Exported(module, inputs, axes, outputs)
