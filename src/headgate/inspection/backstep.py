"""One reverse pass over one step, for any number of gradients side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from headgate.graph import Node
from headgate.inspection.ways import Route, Stack

READOUT, HIGHWAY = "readout", "highway"

# Labels, old state, and what comes to it by each of them: [labels, C, ..., S].
Part = tuple[tuple[str, ...], str, Tensor]
Cuts = Sequence[tuple[int, str]]
Value = Callable[[Node | Stack], Tensor | float]


class Sweep:
    """A reverse pass over one step, or over many at once that do not see each other.

    Args:
        route: the ways through the step.
        matrices: a group's blocks of the recurrent weight, [G, rows, columns], by index of the group.
        value: tells a coefficient's value, given its node or a stack.
        full: how many of the C gradients, the first ones, go through products to the old states; those behind them
            follow the highway alone.
        cuts: (which of the C, label): what would come to an old state by that path is dropped.
        within: follow only what links new states, and nothing to the old ones.
        told: the seeds are the new states' total gradients already; tell what comes to the input parts and products.

    Attributes:
        totals: by new state, [C, ..., S].
        passed: by old state, [C, ..., S].
        parts: the same by path, for the first `full`.
        inputs: by gate, what comes to W x + b, where `told`.
        products: by block, what comes to U v + b', where `told`.
    """

    def __init__(
        self,
        route: Route,
        matrices: Sequence[Tensor],
        value: Value,
        full: int,
        cuts: Cuts = (),
        within: bool = False,
        told: bool = False,
    ) -> None:
        self._route, self._matrices, self._value, self._full = route, matrices, value, full
        self._cuts, self._within, self._told = cuts, within, told
        self._reached: dict[Node, Tensor] = {}
        self._up: dict[int, tuple[Tensor, list[bool]]] = {}
        self.totals: dict[str, Tensor] = {}
        self.passed: dict[str, Tensor] = {}
        self.parts: list[Part] = []
        self.inputs: dict[str, Tensor] = {}
        self.products: dict[str, Tensor] = {}

    def run(self, seeds: Mapping[str, Tensor]) -> Sweep:
        """Go through the step.

        Args:
            seeds: what comes to each new state from outside the step, [C, ..., S]; every state is there, but where only
                what links new states is followed.
        """
        route = self._route
        for name, seed in seeds.items():
            if self._told:
                self._reached[route.graph.states[name]] = seed
            else:
                self._add(route.graph.states[name], seed)
        for item, linking in route.order:
            if isinstance(item, int):
                if linking or not self._within:
                    self._through_group(item)
            elif item in self._reached and item.kind != "product":
                value = self._reached[item]
                if item.kind == "mean":
                    self._through_mean(item, value)
                else:
                    self._hand(item, value[None], (HIGHWAY,))
        states = route.graph.states.items()
        self.totals = {name: self._reached[node] for name, node in states if node in self._reached}
        if not (self._within or self._told):
            for name, seed in seeds.items():
                known = self.passed.get(name, seed[:0])
                if len(known) < len(seed):
                    self.passed[name] = torch.cat([known, torch.zeros_like(seed[len(known) :])])
        return self

    def _through_mean(self, node: Node, value: Tensor) -> None:
        # As a matrix with 1/(n H) everywhere: no weight is crossed, so this is no gate's path.
        value = value.mean(-1, keepdim=True).expand_as(value) / len(node.arguments)
        for point in node.arguments:
            self._hand(point, value[None], (HIGHWAY,), arriving=True)

    def _through_group(self, k: int) -> None:
        group = self._route.groups[k]
        up = self._upstream(k)
        if up is None:
            return
        if self._told:
            self.products |= dict(zip(group.blocks, up, strict=True))
            if group.argument.kind == "leaf":
                return
        matrices = self._matrices[k]
        result = torch.bmm(up.flatten(1, -2), matrices).view(*up.shape[:-1], matrices.shape[-1])
        self._hand(group.argument, result, group.blocks, arriving=True)

    def _upstream(self, k: int) -> Tensor | None:
        """What came to the blocks of a group, [G, C, ..., rows]."""
        group, found = self._route.groups[k], self._up.get(k)
        states = {place: self._route.graph.products[block] for place, block in enumerate(group.blocks)}
        states = {place: node for place, node in states.items() if node in self._reached}
        if found is None and not states:
            return None
        if found is None:
            like = next(self._reached[node] for node in states.values())
            found = self._up[k] = like.new_empty(len(group.blocks), *like.shape), [False] * len(group.blocks)
        up, written = found
        for place, node in states.items():
            up[place] = self._reached[node]
            written[place] = True
        for place, there in enumerate(written):
            if not there:
                up[place] = 0
        return up

    def _hand(self, point: Node, value: Tensor, labels: tuple[str, ...], arriving: bool = False) -> None:
        """From a point to all it depends on directly: value [labels, C, ..., S]."""
        whole = value[0] if len(labels) == 1 else None
        if arriving and point in self._route.state_of:
            # The state's own turn comes later, with everything else that reaches it.
            self._add(point, value.sum(0) if whole is None else whole)
            return
        ways = self._route.ways[point]
        if not (self._within or self._told):
            for name, part in ways.old:
                self._to_old(name, _times(value, self._value(part)), labels)
        if not (ways.within or ways.stacks or ways.inputs):
            return
        if whole is None:
            whole = value.sum(0)
        for end, part in ways.within:
            self._add(end, _times(whole, self._value(part)))
        for stack in ways.stacks:
            self._to_stack(stack, whole)
        if self._told:
            for gate, part in ways.inputs:
                found = _times(whole, self._value(part))
                self.inputs[gate] = self.inputs[gate] + found if gate in self.inputs else found

    def _to_old(self, name: str, value: Tensor, labels: tuple[str, ...]) -> None:
        for row, label in self._cuts:
            if label in labels and row < value.shape[1]:
                value = value.clone()
                value[labels.index(label), row] = 0
        self.parts.append((labels, name, value))
        total = value[0] if len(labels) == 1 else value.sum(0)
        known = self.passed.get(name)
        if labels != (HIGHWAY,):
            total = total[: self._full]
        self.passed[name] = total if known is None else _joined(known, total)

    def _to_stack(self, stack: Stack, value: Tensor) -> None:
        group, linking = self._route.groups[stack.group], stack.group in self._route.linking_groups
        if not linking:
            if self._within or not self._full:
                return
            value = value[: self._full]
        if stack.group not in self._up:
            rows = self._matrices[stack.group].shape[1]
            up = value.new_empty(len(group.blocks), *value.shape[:-1], rows)
            self._up[stack.group] = up, [False] * len(group.blocks)
        up, written = self._up[stack.group]
        here, factor = slice(stack.first, stack.last), self._value(stack).unsqueeze(1)
        target = up[here, : len(value)]
        if not any(written[here]) and target.shape[1] == up.shape[1]:
            torch.mul(value[None], factor, out=target)
        else:
            for place in range(stack.first, stack.last):
                if not written[place]:
                    up[place] = 0
            target.addcmul_(value[None].expand_as(target), factor.expand_as(target))
        written[here] = [True] * (stack.last - stack.first)

    def _add(self, node: Node, value: Tensor) -> None:
        if self._told and node in self._route.state_of:
            return
        known = self._reached.get(node)
        self._reached[node] = value if known is None else _joined(known, value)


def _times(value: Tensor, factor: Tensor | float) -> Tensor:
    return value if isinstance(factor, float) and factor == 1.0 else value * factor


def _joined(first: Tensor, second: Tensor) -> Tensor:
    """The sum of two sets of gradients of which the shorter lacks the last ones."""
    if len(first) < len(second):
        first, second = second, first
    if len(first) == len(second):
        return first + second
    return torch.cat([first[: len(second)] + second, first[len(second) :]])
