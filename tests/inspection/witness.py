"""The witness of the watch: a stack unrolled by hand and differentiated by autograd.

It shares nothing with the watch but the cell's step. Every product is a plain matmul of one block, every row runs alone
for exactly its own steps, so there is no mask to get wrong, and every state is a tensor that keeps its gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

import headgate.engines.eager  # noqa: F401 - teaches the cells' functions what to do with torch tensors
from headgate.cells import Cell, Gates, State
from headgate.cells.cell import Named

Place = tuple[int, int]  # step in time, row


class Products:
    """`U` of one layer and direction: block by block, on vectors."""

    def __init__(self, cell: Cell, weights: Mapping[str, Tensor]) -> None:
        self.weight: dict[str, Tensor] = {}
        self.bias: dict[str, Tensor | float] = {}
        for matrix in cell.recurrent:
            names = matrix.blocks.split()
            weight, bias = weights[f"weight_{matrix.name}"], weights.get(f"bias_{matrix.name}")
            size = len(weight) // len(names)
            for k, name in enumerate(names):
                rows = slice(k * size, (k + 1) * size)
                self.weight[name], self.bias[name] = weight[rows], 0.0 if bias is None else bias[rows]

    def __getitem__(self, block: str) -> Callable[[Tensor], Tensor]:
        return lambda vector: self.weight[block] @ vector + self.bias[block]

    __getattr__ = __getitem__


@dataclass
class Part:
    """One layer and direction, unrolled.

    Attributes:
        weights: by the names of `Cell.parameter_shapes`.
        input: [T, B, I].
        initial: states before the first step, leaves, by name, one a row.
        before, x: what each step was called with.
        made: the states each step made. Their gradients are the total ones.
        handed: copies of them, for whoever reads them after the step: the next step, the layer above, the loss. Their
            gradients are what comes to a step from outside.
        gates: what each step showed.
    """

    cell: Cell
    weights: dict[str, Tensor]
    reverse: bool
    input: Tensor
    initial: dict[str, list[Tensor]]
    before: dict[Place, State] = field(default_factory=dict)
    x: dict[Place, Named] = field(default_factory=dict)
    made: dict[Place, State] = field(default_factory=dict)
    handed: dict[Place, State] = field(default_factory=dict)
    gates: dict[Place, Gates] = field(default_factory=dict)

    @property
    def vectors(self) -> Named:
        names = self.cell.vector_names
        return Named(zip(names, self.weights["weight_p"].chunk(len(names)), strict=True)) if names else Named()

    def run_row(self, row: int, steps: int, begins: set[int]) -> State:
        """Run a row's steps and return its last states; `begins` are the steps at which a new sequence begins."""
        U, p, first = (
            Products(self.cell, self.weights),
            self.vectors,
            State((name, values[row]) for name, values in self.initial.items()),
        )
        W, b = self.weights["weight_ih"], self.weights.get("bias_ih", 0.0)
        state = first
        for t in reversed(range(steps)) if self.reverse else range(steps):
            if (t + 1 if self.reverse else t) in begins:
                state = first
            parts = (W @ self.input[t, row] + b).chunk(len(self.cell.gate_names))
            here = t, row
            self.x[here], self.before[here] = Named(zip(self.cell.gate_names, parts, strict=True)), state
            self.made[here], self.gates[here] = self.cell(self.x[here], U, state, p)
            self.handed[here] = state = State((name, value.clone()) for name, value in self.made[here].items())
            for value in (*self.made[here].values(), *state.values()):
                value.retain_grad()
        return state

    def jacobian(self, t: int, row: int) -> Tensor:
        """d(new states)/d(old states) of one step, states in the cell's order."""
        before = tuple(value.detach() for value in self.before[t, row].values())
        U, names = Products(self.cell, self.weights), self.cell.state_names

        def step(*states: Tensor) -> tuple[Tensor, ...]:
            made, _ = self.cell(self.x[t, row], U, State(zip(names, states, strict=True)), self.vectors)
            return tuple(value * 1.0 for value in made.values())  # a state handed on is a function of itself too

        return torch.cat([torch.cat(blocks, 1) for blocks in torch.autograd.functional.jacobian(step, before)])

    def numbers(self) -> dict[str, Tensor]:
        """Gates, states and total gradients by the names that `numbers_of` gives the watch's; zero past a row's end."""
        B = self.input.shape[1]
        found = {f"gate {name}": self.gathered(self.gates, name) for name in next(iter(self.gates.values()))}
        for name in self.cell.state_names:
            found[f"state {name}"] = self.gathered(self.made, name)
            found[f"grad {name}"] = self.gathered(self.made, name, gradient=True)
            found[f"grad_initial {name}"] = torch.stack([gradient_of(self.initial[name][b]) for b in range(B)])
        return found

    def gathered(self, places: Mapping[Place, Named], name: str, gradient: bool = False) -> Tensor:
        values = {at: gradient_of(v[name]) if gradient else v[name].detach() for at, v in places.items()}
        some = next(iter(values.values()))
        result = some.new_zeros(*self.input.shape[:2], len(some))
        for (t, row), value in values.items():
            result[t, row] = value
        return result


@dataclass
class Unrolled:
    """A whole stack, unrolled: its output [T, B, D O], its final states [L D, B, ...], its parts by name ("l0")."""

    output: Tensor
    final: tuple[Tensor, ...]
    parts: dict[str, Part]


def gradient_of(value: Tensor) -> Tensor:
    return torch.zeros_like(value) if value.grad is None else value.grad


def unroll(
    cell: Cell,
    layer: torch.nn.Module,
    input: Tensor,
    hx: tuple[Tensor, ...] | None = None,
    lengths: list[int] | None = None,
    reset: Tensor | None = None,
    masks: list[Tensor] | None = None,
) -> Unrolled:
    """Run a layer's weights over an input [T, B, I].

    Args:
        cell: the layer's equations.
        layer: one of ours or of torch.nn's, for its weights and sizes.
        hx, lengths, reset: as a layer takes them, states [L D, B, ...].
        masks: what the outputs between layers are multiplied with, [T, B, D O].
    """
    T, B = input.shape[:2]
    lengths = [T] * B if lengths is None else lengths
    begins = [set() if reset is None else set(reset[:, b].nonzero().flatten().tolist()) for b in range(B)]
    parts: dict[str, Part] = {}
    final: list[list[Tensor]] = []
    for k in range(layer.num_layers):
        outputs = []
        for direction, suffix in enumerate(("", "_reverse")[: 2 if layer.bidirectional else 1]):
            part = _part(cell, layer, f"l{k}{suffix}", input, hx, index=len(final))
            parts[f"l{k}{suffix}"] = part
            ends = [part.run_row(b, lengths[b], {t for t in begins[b] if t < lengths[b]}) for b in range(B)]
            final.append([torch.stack([end[name] for end in ends]) for name in cell.state_names])
            output = cell.state_names[0]
            nothing = torch.zeros_like(part.initial[output][0])
            rows = [
                torch.stack([part.handed[t, b][output] if t < lengths[b] else nothing for b in range(B)])
                for t in range(T)
            ]
            outputs.append(torch.stack(rows))
            assert part.reverse == bool(direction)
        input = torch.cat(outputs, -1)
        if masks is not None and k < len(masks):
            input = input * masks[k]
    return Unrolled(input, tuple(torch.stack(states) for states in zip(*final, strict=True)), parts)


def _part(cell: Cell, layer, name: str, input: Tensor, hx, index: int) -> Part:
    weights = {}
    for key in (
        "weight_ih",
        "bias_ih",
        "weight_p",
        *(f"{w}_{m.name}" for m in cell.recurrent for w in ("weight", "bias")),
    ):
        value = getattr(layer, f"{key}_{name}", None)
        if value is not None:
            weights[key] = value.detach().double()
    B, sizes = (
        input.shape[1],
        {n: cell.state_size(n, layer.hidden_size, layer.proj_size or layer.hidden_size) for n in cell.state_names},
    )
    initial = {}
    for k, (state, size) in enumerate(sizes.items()):
        given = torch.zeros(B, size, dtype=torch.float64) if hx is None else hx[k][index].detach().double()
        initial[state] = [row.clone().requires_grad_() for row in given]
    return Part(cell, weights, name.endswith("_reverse"), input, initial)
