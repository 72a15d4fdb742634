"""The split of a gradient by path, found by autograd: each step is run again with every matrix product cut off."""

from __future__ import annotations

from collections.abc import Callable

import torch
from inspection.witness import Part, Place, Products, gradient_of
from torch import Tensor

from headgate.cells import State
from headgate.inspection import Trace

HIGHWAY, READOUT, ALONE = "highway", "readout", "highway alone"
Adjoint = dict[str, Tensor]  # by state


class _Cut:
    """`U` whose results autograd does not look behind; what went in and came out is kept, in the order of the calls."""

    def __init__(self, products: Products, whole: frozenset[str]) -> None:
        self._products, self._whole = products, whole
        self.taken: dict[str, tuple[Tensor, Tensor]] = {}

    def __getitem__(self, block: str) -> Callable[[Tensor], Tensor]:
        def apply(vector: Tensor) -> Tensor:
            result = self._products[block](vector)
            if block not in self._whole:
                result = result.detach().requires_grad_()
                self.taken[block] = vector, result
            return result

        return apply

    __getattr__ = __getitem__


class KnockOut:
    """One layer and direction whose steps can be run again in pieces.

    Args:
        part: unrolled, and run backward.
        local: what the loss itself brings to the states after each step.
    """

    def __init__(self, part: Part, local: dict[Place, Adjoint]) -> None:
        self.part, self.local, self.cell = part, local, part.cell
        self.products = Products(part.cell, part.weights)
        # A projection stands between the memory and the output of one step, not between two steps: it is no path.
        self.within = frozenset({"r"}) if part.cell.produces_projection else frozenset()
        self.labels = [READOUT, HIGHWAY, *(b for m in self.cell.recurrent for b in m.block_names)]

    def paths(self) -> dict[str, Tensor]:
        """By path its part of dL/d(memory), [T, B, H]; and what the highway alone would bring."""
        shape = self.part.input.shape[:2]
        size = len(next(iter(self.part.made.values()))[self.cell.memory])
        found = {label: torch.zeros(*shape, size, dtype=torch.float64) for label in [*self.labels, ALONE]}
        alone: Adjoint = {}
        for at in reversed(self.part.made):
            after = self.next(at)
            arrived = {READOUT: self.local[at]}
            if after is None:
                alone = dict(self.local[at])
            else:
                arrived |= self.by_path(after, {n: gradient_of(v) for n, v in self.part.handed[after].items()})
                alone = _sum(self.local[at], self.by_path(after, alone)[HIGHWAY])
            for label, adjoint in {**arrived, ALONE: alone}.items():
                found[label][at] = self.to_memory(at, adjoint)
        return found

    def next(self, at: Place) -> Place | None:
        """The step that read the states this one made; none at a row's last step or before a reset."""
        after = at[0] + (-1 if self.part.reverse else 1), at[1]
        return after if self.part.before.get(after) is self.part.handed[at] else None

    def by_path(self, at: Place, outside: Adjoint) -> dict[str, Adjoint]:
        """What a gradient that comes to a step's states from outside brings to the states before it, by path."""
        before = State((name, value.detach().requires_grad_()) for name, value in self.part.before[at].items())
        U = _Cut(self.products, self.within)
        made, _ = self.cell(self.part.x[at], U, before, self.part.vectors)
        old = list(before.values())
        arguments, results = [list(column) for column in zip(*U.taken.values(), strict=True)] or [[], []]
        outputs, seeds = list(made.values()), [outside[name] for name in made]
        found = {HIGHWAY: _pulled(outputs, seeds, old)}
        adjoint = _pulled(outputs, seeds, results)
        for k, block in reversed(list(enumerate(U.taken))):
            into = [self.products.weight[block].T @ adjoint[k]]
            found[block] = _pulled([arguments[k]], into, old)
            for j, more in enumerate(_pulled([arguments[k]], into, results[:k])):
                adjoint[j] = adjoint[j] + more
        return {label: dict(zip(before, values, strict=True)) for label, values in found.items()}

    def to_memory(self, at: Place, outside: Adjoint) -> Tensor:
        """What a gradient that comes to a step's states from outside brings to the memory it made."""
        before = State((name, value.detach().requires_grad_()) for name, value in self.part.before[at].items())
        made, _ = self.cell(self.part.x[at], self.products, before, self.part.vectors)
        return _pulled(list(made.values()), [outside[name] for name in made], [made[self.cell.memory]])[0]


def _sum(first: Adjoint, second: Adjoint) -> Adjoint:
    return {name: first[name] + second[name] for name in first}


def _pulled(outputs: list[Tensor], gradients: list[Tensor], inputs: list[Tensor]) -> list[Tensor]:
    """A vector-Jacobian product; zeros where there is no way."""
    ways = [(output, gradient) for output, gradient in zip(outputs, gradients, strict=True) if output.requires_grad]
    if not ways or not inputs:
        return [torch.zeros_like(value) for value in inputs]
    settings = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
    return list(torch.autograd.grad([o for o, _ in ways], inputs, [g for _, g in ways], **settings))


def by_knock_out(part: Part, cotangents: dict[str, Tensor], lengths: list[int]) -> dict[str, Tensor]:
    """The paths of one direction of a one-layer run, by the names of `told`."""
    found = KnockOut(part, local_gradients(part, cotangents, lengths)).paths()
    return {f"path {label}": value for label, value in found.items()}


def told(trace: Trace) -> dict[str, Tensor]:
    """What the watch says of the paths."""
    return {**{f"path {name}": value for name, value in trace.paths.items()}, f"path {ALONE}": trace.highway}


def local_gradients(part: Part, cotangents: dict[str, Tensor], lengths: list[int]) -> dict[Place, Adjoint]:
    """What the loss of a one-layer run brings to the states after each step, itself."""
    direction, output = int(part.reverse), part.cell.state_names[0]
    weights = cotangents["output"].chunk(2, -1)[direction]
    found = {}
    for t, row in part.made:
        here = {name: torch.zeros_like(value) for name, value in part.made[t, row].items()}
        here[output] = here[output] + weights[t, row]
        if t == (0 if part.reverse else lengths[row] - 1):
            for k, name in enumerate(part.cell.state_names):
                here[name] = here[name] + cotangents[f"final {k}"][direction, row]
        found[t, row] = here
    return found
