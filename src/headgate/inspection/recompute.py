"""A captured call, run again layer by layer with every state kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from headgate.engines import Call, choose, engine_named, step_masks
from headgate.engines.cpu.kept import Kept
from headgate.graph.program import program
from headgate.inspection.adjoint import Run
from headgate.inspection.layers import Opened, disagreement, in_users_order, open_call, run_layers
from headgate.nn import Recurrent, packing
from headgate.nn.arguments import Sequences
from headgate.nn.swap import twin

if TYPE_CHECKING:
    from headgate.inspection.capture import Capture

# So much of a layer and direction is kept at most; of what is larger, reverse passes compute it anew.
KEPT_BYTES = 1 << 30


@dataclass
class LayerRun:
    """One layer and direction, run again.

    Attributes:
        run: what happened, in the order of its steps.
        layer: the module's twin, whose arguments tell the form of the captured ones.
        opened: the module's arguments in one form.
        index: position among layers and directions, in the order of the states.
        dropout_mask: what this layer's outputs were multiplied with on their way up, [T, B, D O], or None.
    """

    run: Run
    layer: Recurrent
    opened: Sequences
    index: int
    dropout_mask: Tensor | None = None

    @property
    def reverse(self) -> bool:
        return self.index % self.layer.num_directions == 1

    def output_gradient(self, capture: Capture) -> Tensor:
        """The gradient that came to this direction's part of the module's output, [T, B, O] in time."""
        gradient = capture.gradients.get("output")
        if gradient is None:
            return torch.zeros_like(self.run.states[self.run.cell.state_names[0]])
        gradient = gradient.to(self.run.input.dtype)
        if isinstance(self.opened.input, PackedSequence):
            gradient = in_users_order(packing.unpack(self.opened.input._replace(data=gradient))[0], self.opened.input)
        elif not self.opened.batched:
            gradient = gradient.unsqueeze(1)
        elif self.layer.batch_first:
            gradient = gradient.transpose(0, 1)
        return gradient.chunk(self.layer.num_directions, -1)[int(self.reverse)]

    def final_gradients(self, capture: Capture) -> dict[str, Tensor]:
        """The gradients that came to this layer and direction's final states, by name, [B, ...]."""
        found = {}
        for k, name in enumerate(self.run.cell.state_names):
            gradient = capture.gradients.get(f"final_{k}")
            if gradient is not None:
                gradient = gradient.to(self.run.input.dtype)
                if not self.opened.batched:
                    gradient = gradient.unsqueeze(1)
                found[name] = gradient[self.index]
        return found


@torch.no_grad()
def recompute(capture: Capture, name: str) -> list[list[LayerRun]]:
    """Run a captured call again, [layer][direction].

    Raises:
        RuntimeError: the result is not what the module gave, so nothing that followed from it would be true.
    """
    layer = twin(capture.module, capture.weights, capture.measured_in)
    try:
        opened = open_call(layer, _as_called(capture.arguments, layer.weight_ih_l0.dtype))
    except (TypeError, ValueError, RuntimeError) as reason:
        raise RuntimeError(
            f"{name}: it took arguments that are not those of a recurrent layer, so it is a forward of its own, which "
            f"watch cannot follow ({reason})"
        ) from None
    sequences = opened.arguments
    seeds, masks = _drawn_again(capture, layer, sequences, opened.input)
    layers: list[list[LayerRun]] = [[] for _ in range(layer.num_layers)]

    def run_one(call: Call, index: int) -> Tensor:
        k = index // layer.num_directions
        run = _run(replace(call, all_states=True, seed=None if seeds is None else seeds[index]), sequences)
        layers[k].append(LayerRun(run, layer, sequences, index, masks[k] if k < len(masks) else None))
        return _in_time(run.states[layer.cell.state_names[0]] * run.active, call.reverse)

    output = run_layers(opened, run_one, masks)
    _check(capture, opened, output, name)
    return layers


def _as_called(arguments: dict, dtype: torch.dtype) -> dict:
    """The call's arguments in the dtype of the recomputation."""

    def converted(value):
        if isinstance(value, PackedSequence):
            return value._replace(data=value.data.to(dtype))
        if isinstance(value, Tensor) and value.is_floating_point():
            return value.to(dtype)
        return tuple(map(converted, value)) if isinstance(value, (tuple, list)) else value

    return {key: value if key in ("lengths", "reset") else converted(value) for key, value in arguments.items()}


def _run(call: Call, opened: Sequences) -> Run:
    T, B = call.input.shape[:2]
    states, masks, kept = _states_and_masks(call, opened)
    steps = torch.arange(T, device=call.input.device)[:, None]
    everywhere = torch.ones(T, B, dtype=torch.bool, device=call.input.device)
    active = everywhere if call.lengths is None else steps < call.lengths
    # What stands in the padding is nobody's, and NaN there would get through every mask that multiplies.
    input = torch.where(active[..., None], call.input, torch.zeros_like(call.input))
    fresh = torch.zeros_like(active) if call.reset is None else call.reset & active
    if call.reverse:
        fresh = torch.cat([fresh[1:], torch.zeros_like(fresh[:1])])
    return Run(
        call.cell,
        call.weights,
        _in_time(input, call.reverse),
        dict(zip(call.cell.state_names, call.initial, strict=True)),
        {name: _in_time(value, call.reverse) for name, value in states.items()},
        _in_time(active, call.reverse)[..., None],
        _in_time(fresh, call.reverse)[..., None],
        {name: _in_time(m, call.reverse) if isinstance(m, Tensor) else m for name, m in masks.items()},
        kept,
    )


def _states_and_masks(
    call: Call, opened: Sequences
) -> tuple[dict[str, Tensor], dict[str, Tensor | float], Kept | None]:
    """Every state at every step and the cell's masks, by name, and what the engine kept.

    A mask belongs to a row's place in the batch, so the rows go to the places they had in the captured call, and back.
    """
    packed = opened.input if isinstance(opened.input, PackedSequence) else None
    if packed is not None and packed.sorted_indices is not None:
        order = packed.sorted_indices
        initial = tuple(state.index_select(0, order) for state in call.initial)
        lengths = call.lengths.index_select(0, order)
        call = replace(call, input=call.input.index_select(1, order), initial=initial, lengths=lengths)
    result = engine_named(choose(call.request)).forward(replace(call, keep=_is_worth_keeping(call)))
    states, kept = result.states, result.kept
    masks: dict[str, Tensor | float] = dict(call.cell.rates)
    if call.seed is not None:
        drawn = [step_masks(call, t) for t in range(len(call.input))]
        masks = {name: torch.stack([m[name] for m in drawn]) for name in call.cell.mask_names}
    if packed is not None:
        states = {name: in_users_order(value, packed) for name, value in states.items()}
        masks = {n: in_users_order(m, packed) if isinstance(m, Tensor) else m for n, m in masks.items()}
    if kept is not None and packed is not None and packed.sorted_indices is not None:
        kept = replace(kept, number=packed.sorted_indices)
    return states, masks, kept


def _is_worth_keeping(call: Call) -> bool:
    """Whether what reverse passes start from is to be kept: not where it would fill the memory."""
    T, B = call.input.shape[:2]
    values = len(program(call.cell).forward.kept) * len(call.weights["weight_ih"]) // len(call.cell.gate_names)
    return T * B * values * call.input.element_size() <= KEPT_BYTES


def _in_time(value: Tensor, reverse: bool | int) -> Tensor:
    return value.flip(0) if reverse else value


def _drawn_again(
    capture: Capture, layer: Recurrent, opened: Sequences, input: Tensor
) -> tuple[tuple[Tensor, ...] | None, list[Tensor]]:
    """The seeds of the cell's masks, and the masks between layers, from the random state the call began with."""
    if capture.random_state is None:
        return None, []
    width = layer.output_size * layer.num_directions
    packed_draw = isinstance(opened.input, PackedSequence) and not isinstance(capture.module, Recurrent)
    shape = (len(opened.input.data), width) if packed_draw else (*input.shape[:2], width)
    p = float(capture.module.dropout)
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(capture.random_state)
        seeds = layer.train().draw_seeds()
        ones = torch.ones(shape, dtype=capture.output.dtype, device=input.device)
        masks = [functional.dropout(ones, p, True).to(input.dtype) for _ in range(layer.num_layers - 1)]
    if packed_draw:
        masks = [packing.unpack(opened.input._replace(data=mask))[0] for mask in masks]
    if isinstance(opened.input, PackedSequence):
        masks = [in_users_order(mask, opened.input) for mask in masks]
    return seeds, masks


def _check(capture: Capture, opened: Opened, output: Tensor, name: str) -> None:
    """What was recomputed must be what the module gave."""
    shaped, _ = opened.close(output, (opened.initial[0],))
    shaped = shaped.data if isinstance(shaped, PackedSequence) else shaped
    error, allowed = disagreement(shaped, capture.output)
    if not capture.output.isfinite().all():
        raise RuntimeError(
            f"{name}: its output holds NaN or infinity, so there is nothing to measure; look at its input and weights."
        )
    if not error <= allowed:
        raise RuntimeError(
            f"{name}: run again from its weights and input it gives another output (by {error:.1e}, allowed "
            f"{allowed:.1e}), so its gradients cannot be told. This comes of a forward or a forward hook of its own, "
            "of masks drawn on a GPU or within a parametrisation, or of float32 rounding that a chaotic network "
            "magnifies: watch it as a plain layer, in eval mode, or in float64."
        )
