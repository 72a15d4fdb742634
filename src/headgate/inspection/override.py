"""Any cell with its gates, or its memory, held at other values: what a causal experiment runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor

from headgate.cells import Cell, Gates, State, Zoneout
from headgate.cells.cell import Named
from headgate.cells.wrappers import Wrapper
from headgate.engines import Call, Result, as_dtype, choose, engine_named, wide
from headgate.graph import Node, evaluate, linearise, trace
from headgate.graph.expression import in_order
from headgate.graph.program import program
from headgate.graph.units import stands_once

# What is overridden: a gate by its name, or the memory.
Target = str | None
MEMORY: Target = None
GIVEN, MASK, KEEP = "given", "overriding", "keeping"


@dataclass(frozen=True)
class Overridden(Wrapper):
    """A cell whose gates and memory can each be replaced by a value from outside, unit by unit and row by row.

        gate = m * given + (1 - m) * (the cell's own gate)

    wherever the step uses that gate; everything else of the step is the inner cell's graph. For the memory it is its
    new value, which the output then reads. Which of them is replaced is told by numbers and not by the equations, so
    one compiled step serves all experiments on a cell: m is the product of a per-unit vector for each target, `p`, and
    of a state that is handed on as it is. As a state, it can differ from row to row, and the loss's derivative with
    respect to its first value is that with respect to m, by row and unit, summed over the steps.

    With m = 0 the numbers are those of the cell alone, to the bit. Where one gate is made of another (f = 1 - i), the
    one follows the other; overriding it alone parts them.

    Args:
        cell: any cell.

    Gates beside the cell's own: `given`. States: `overriding`, the mask; `own_<gate>`, what the cell itself made of a
    gate, before it was replaced; `keeping`, the memory's own factor, unless it is a gate. Vectors: `on_<gate>`,
    `on_memory_<state>`.
    """

    @cached_property
    def targets(self) -> dict[Target, tuple[Node, ...]]:
        """What can be overridden and the values of the graph that are it: gates that the step computes, one a unit,
        and the memory. Two names of one value are one target, the memory or else the first gate."""
        graph, cells = trace(self.cell), [self.cell]
        # Zoneout's output reads the memory as the cell made it, and its next step the mixture: both have to be held.
        while isinstance(cells[-1], Zoneout):
            cells.append(cells[-1].cell)
        memory = tuple(dict.fromkeys(trace(cell).states[self.memory] for cell in reversed(cells)))
        free = {node for node in in_order(graph.states.values()) if self._can_be_replaced(node)}
        found: dict[Target, tuple[Node, ...]] = {}
        for target, nodes in [(MEMORY, memory), *((gate, (node,)) for gate, node in graph.gates.items())]:
            if free.issuperset(nodes):
                found[target] = nodes
                free -= set(nodes)
        return found

    @cached_property
    def keep(self) -> Node | None:
        """The memory's own factor from step to step, f in an LSTM and z in a GRU; None without a highway, or where the
        memory cannot be held."""
        if MEMORY not in self.targets:
            return None
        graph = trace(self.cell)
        node = linearise(self.cell).coefficient[graph.states[self.memory]].get(graph.s(self.memory))
        return None if node is None or stands_once(node) else node

    @cached_property
    def keep_state(self) -> str | None:
        """The state that holds the factor; None where there is none, or it is a number."""
        if self.keep is None or self.keep.kind == "constant":
            return None
        shown = (f"own_{gate}" for gate, nodes in self.targets.items() if gate is not MEMORY and nodes == (self.keep,))
        return next(shown, KEEP)

    @cached_property
    def _replaced(self) -> tuple[tuple[Node, Target], ...]:
        """The values to be replaced, each after those that it is made of, and of which target each is one."""
        target_of = {node: target for target, nodes in self.targets.items() for node in nodes}
        order = in_order(trace(self.cell).states.values())
        return tuple((node, target_of[node]) for node in order if node in target_of)

    def _can_be_replaced(self, node: Node) -> bool:
        computed = node.kind not in ("constant", "leaf") and not stands_once(node)
        return computed and program(self.cell).space(node) == "H"

    @property
    def gates(self) -> str:
        return " ".join([*self.cell.gate_names, GIVEN])

    @property
    def states(self) -> str:
        return " ".join([*self.cell.state_names, MASK, *self.shown])

    @property
    def shown(self) -> list[str]:
        """The states that nothing is made of."""
        own = [f"own_{gate}" for gate in self.targets if gate is not MEMORY]
        return [*own, KEEP] if self.keep_state == KEEP else own

    @property
    def vectors(self) -> str:
        return " ".join([*self.cell.vector_names, *map(self.switch, self.targets)])

    @property
    def changed_switches(self) -> dict[str, Any]:
        return {**self.cell.changed_switches, "overridden": True}

    def switch(self, target: Target) -> str:
        """The per-unit vector that turns overriding of a target on."""
        return f"on_memory_{self.memory}" if target is MEMORY else f"on_{target}"

    def state_size(self, state: str, hidden_size: int, output_size: int) -> int:
        inner = state in self.cell.state_names
        return self.cell.state_size(state, hidden_size, output_size) if inner else hidden_size

    def step(self, x: Named, U: Any, s: State, p: Named, m: Named) -> tuple[State, Gates]:
        graph, given = trace(self.cell), {"x": x, "s": s, "p": p, "m": m}
        known = {leaf: given[leaf.label[0]][leaf.label[1]] for leaf in graph.leaves()}
        shown: dict[str, Any] = {}

        def values(nodes: Any) -> list[Any]:
            return evaluate(nodes, known, lambda node, vector: U[node.label](vector))

        for node, target in self._replaced:
            before = in_order([node], frozenset(known))
            known |= zip(before, values(before), strict=True)
            value = known[node]
            if target is not MEMORY:
                shown[f"own_{target}"] = value
            mask = p[self.switch(target)] * s[MASK]
            known[node] = mask * x[GIVEN] + (1.0 - mask) * value
        if self.keep_state == KEEP:
            (shown[KEEP],) = values([self.keep])
        states = zip(graph.states, values(graph.states.values()), strict=True)
        gates = zip(graph.gates, values(graph.gates.values()), strict=True)
        return State([*states, (MASK, s[MASK]), *shown.items()]), Gates(gates)


@cache
def overridden_cell(cell: Cell) -> Overridden:
    """The one `Overridden` of a cell, which keeps what was derived from it."""
    return Overridden(cell)


def overridden(call: Call, target: Target, given: Tensor | None, mask: Tensor | None = None) -> Call:
    """A call with one target overridden; half precision becomes float32, in which `given` keeps its digits.

    Args:
        call: of any cell.
        target: a key of `Overridden.targets`.
        given: the values, [H] for all steps and rows, [B, H] for all steps of each row, or [T, B, H] in time; None for
            zeros, where nothing is masked.
        mask: m, [H] or [B, H]; None for ones.

    Raises:
        ValueError: nothing of that name can be overridden in this cell.
    """
    cell, dtype = overridden_cell(call.cell), wide(call.input.dtype)
    if target not in cell.targets:
        there = ", ".join("the memory" if name is MEMORY else repr(name) for name in cell.targets) or "nothing"
        what = "memory" if target is MEMORY else f"gate {target!r}"
        raise ValueError(f"overriding: {call.cell.name} computes no {what}, one value a unit; what can be is {there}.")
    B, device = call.input.shape[1], call.input.device
    weights = {name: as_dtype(weight, dtype) for name, weight in call.weights.items()}
    H = len(weights["weight_ih"]) // len(call.cell.gate_names)
    given = torch.zeros(H, dtype=dtype, device=device) if given is None else given.to(device, dtype)
    mask = torch.ones(H, dtype=dtype, device=device) if mask is None else mask.to(device, dtype)
    further, rows = _as_input(given, call.input.shape[0], B)
    weight = weights["weight_ih"]
    weights["weight_ih"] = torch.cat([torch.cat([weight, weight.new_zeros(len(weight), rows.shape[1])], 1),
                                      torch.cat([weight.new_zeros(H, weight.shape[1]), rows], 1)])  # fmt: skip
    if "bias_ih" in weights:
        weights["bias_ih"] = torch.cat([weights["bias_ih"], weights["bias_ih"].new_zeros(H)])
    switches = [weight.new_full((H,), float(name == target)) for name in cell.targets]
    weights["weight_p"] = torch.cat([*([weights["weight_p"]] if "weight_p" in weights else []), *switches])
    initial = [as_dtype(state, dtype) for state in call.initial]
    initial += [mask.expand(B, H), *(weight.new_zeros(B, H) for _ in cell.shown)]
    input = torch.cat([as_dtype(call.input, dtype), further], -1)
    return replace(call, cell=cell, weights=weights, input=input, initial=tuple(initial))


def _as_input(given: Tensor, T: int, B: int) -> tuple[Tensor, Tensor]:
    """Input columns [T, B, n] and weights [H, n] whose product is the values at every step."""
    if given.dim() == 3:
        return given, torch.eye(given.shape[-1], dtype=given.dtype, device=given.device)
    if given.dim() == 2:
        # A column for each row, which is one there and zero in all others.
        return torch.eye(B, dtype=given.dtype, device=given.device).expand(T, B, B), given.T
    return given.new_ones(T, B, 1), given[:, None]


def run(call: Call, engine: str | None = None) -> Result:
    """A call on the engine asked for, or the fastest that can."""
    return engine_named(choose(call.request, engine)).forward(call)


def run_overridden(
    call: Call, target: Target, given: Tensor | None, mask: Tensor | None = None, engine: str | None = None
) -> Result:
    """A call's result with one target overridden, as `overridden` has it; output and final states as the call's own."""
    return _as_asked(call, run(overridden(call, target, given, mask), engine))


@dataclass(frozen=True)
class Recording:
    """A call with nothing overridden, and what was in it; past a row's end, nothing that means anything.

    Attributes:
        result: that of `run_overridden` with a mask of zeros, to the bit.
        values: of each target, [T, B, H] in time.
        keep: the memory's own factor from the step before, [T, B, H] in time; None without a highway.
    """

    result: Result
    values: dict[Target, Tensor]
    keep: Tensor | None


def run_recording(call: Call, engine: str | None = None) -> Recording:
    """Run a call with nothing overridden, and record what could be.

    Raises:
        ValueError: nothing can be overridden in this cell.
    """
    cell = overridden_cell(call.cell)
    nothing = call.input.new_zeros(len(call.weights["weight_ih"]) // len(call.cell.gate_names))
    some = next(iter(cell.targets), MEMORY)
    result = run(replace(overridden(call, some, None, nothing), all_states=True), engine)
    names = {target: call.cell.memory if target is MEMORY else f"own_{target}" for target in cell.targets}
    values = {target: result.states[name] for target, name in names.items()}
    keep = None
    if cell.keep_state is not None:
        keep = result.states[cell.keep_state]
    elif cell.keep is not None:
        keep = torch.full_like(values[MEMORY], cell.keep.label)
    return Recording(_as_asked(call, result), values, keep)


def from_bias(call: Call, engine: str | None = None) -> dict[Target, Tensor]:
    """What each gate is by its bias alone, [H]: on zero input, with every state zero, the new memory too."""
    input = torch.zeros_like(call.input[:1, :1])
    initial = tuple(torch.zeros_like(state[:1]) for state in call.initial)
    call = replace(call, input=input, initial=initial, lengths=None, reset=None, reverse=False, all_states=True)
    targets = overridden_cell(call.cell).targets
    held = MEMORY in targets
    H = len(call.weights["weight_ih"]) // len(call.cell.gate_names)
    target = MEMORY if held else next(iter(targets))
    found = run(overridden(call, target, None, input.new_full((H,), float(held))), engine).states
    return {gate: found[f"own_{gate}"][0, 0] for gate in targets if gate is not MEMORY}


def _as_asked(call: Call, result: Result) -> Result:
    output = as_dtype(result.output, call.input.dtype)
    final = tuple(as_dtype(new, old.dtype) for new, old in zip(result.final, call.initial, strict=False))
    return Result(output, final)

