"""What the loss itself brings to a layer and direction, before any of it has gone back through time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from headgate.inspection.flow import Loss, last_steps
from headgate.inspection.recompute import LayerRun
from headgate.inspection.sources import choose_sources, how_many

if TYPE_CHECKING:
    from headgate.inspection.capture import Capture
    from headgate.inspection.trace import Trace


class LocalLoss:
    """The loss as one layer and direction meets it: its own derivatives, or what the layer above hands on.

    Args:
        name: of the module, for messages.
        capture: the module's call.
        run: the layer and direction, run again.
        above: makes the traces of the layer above, one a direction; none for the top layer.
    """

    def __init__(self, name: str, capture: Capture, run: LayerRun, above: Callable[[], list[Trace]]) -> None:
        self._name, self._capture, self._run, self._above = name, capture, run, above

    def whole(self) -> Loss:
        """The loss of all steps.

        Raises:
            RuntimeError: no backward pass reached the module within the watch.
        """
        self._check()
        above = self._above()
        if above:
            local = self._handed_on(sum(trace.input_gradient() for trace in above))
        else:
            local = self._in_order(self._run.output_gradient(self._capture))
        return Loss({self._output: local}, self._run.final_gradients(self._capture))

    def sources(self, most: int) -> Loss:
        """The losses of single steps, the last of each row first, each as a gradient of its own.

        Raises:
            RuntimeError: no backward pass reached the module within the watch.
        """
        self._check()
        run, final = self._run.run, self._run.final_gradients(self._capture)
        B, above = run.input.shape[1], self._above()
        if above:
            parts = [trace.input_gradients(most) for trace in above]
            local = self._handed_on(sum(parts))
            S = len(local)
            final = {n: torch.cat([v[None], v.new_zeros(S - 1, *v.shape)]) for n, v in final.items()}
            return Loss({self._output: local}, final, torch.full((S, B), -1, device=local.device))
        local = self._in_order(self._run.output_gradient(self._capture))
        read = (local != 0).any(-1) & run.active[..., 0]
        steps, last = torch.arange(len(local), device=local.device)[:, None], last_steps(run)
        for value in final.values():
            read = read | ((steps == last) & (value != 0).any(-1))
        return Loss({self._output: local}, final, choose_sources(read, how_many(most, B)))

    @property
    def _output(self) -> str:
        return self._run.run.cell.state_names[0]

    def _handed_on(self, whole: Tensor) -> Tensor:
        """This direction's part of the gradient that came to the input of the layer above, [..., T, B, O]."""
        if self._run.dropout_mask is not None:
            whole = whole * self._run.dropout_mask
        directions = self._run.layer.num_directions
        return self._in_order(whole.chunk(directions, -1)[int(self._run.reverse)])

    def _in_order(self, value: Tensor) -> Tensor:
        """From time to the order of the run."""
        return value.flip(-3) if self._run.reverse else value

    def _check(self) -> None:
        capture = self._capture
        if capture.gradients:
            return
        why = (
            "no backward pass reached it within the watch; call loss.backward() inside the with-block, on a loss "
            "that uses this layer's last call"
            if capture.differentiable
            else "it ran without gradients (no_grad or inference_mode); run it with them"
        )
        raise RuntimeError(f"{self._name}: there are no gradients to show, since {why}.")
