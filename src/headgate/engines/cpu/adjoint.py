"""Any number of gradients side by side back through a run of the compiled engine, for the watch; see csrc/adjoint.cpp.

A forward call with `keep` leaves a `Kept`. From it a `Way` goes back, a stretch of steps at a time, with a scale of its
own for every gradient and row.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from headgate.engines.cpu import library, structures
from headgate.engines.cpu.adjoint_layout import adjoint_layout, block_numbers, first_blocks
from headgate.engines.cpu.buffers import Columns, pad_units, padded
from headgate.engines.cpu.kept import Kept
from headgate.engines.cpu.run import kept_states, own_vectors, run_of
from headgate.graph.adjoint import adjoint


@dataclass(frozen=True)
class Scaling:
    """When a gradient's scale is set anew.

    Attributes:
        every: after so many steps.
        room: where it has left its scale by so many powers of two.
        lowest: no loss is added in a smaller scale.
    """

    every: int
    room: int
    lowest: int


@dataclass(frozen=True)
class Sources:
    """The gradients that are followed; rows are the asker's, steps in the order of the run.

    Attributes:
        local: by state, the loss's own derivative at each step, [T, B, S]; or several, [K, T, B, S].
        final: by state, what comes to each row's last state, [R, B, S].
        which: [R], which of the K a gradient follows.
        steps: [R, B], the step whose loss alone it follows, or -1 for all.
        cut_blocks: (gradient, block): the block's product is not handed on.
        cut_highway: gradients whose highway is cut.
    """

    local: Mapping[str, Tensor]
    final: Mapping[str, Tensor]
    which: Sequence[int]
    steps: Tensor
    cut_blocks: Sequence[tuple[int, str]] = ()
    cut_highway: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Passed:
    """What came to a stretch of steps, in units of 2**scale.

    The way back uses the memory of all but the totals again in its next stretch, so they have to be asked for before.

    Attributes:
        total: by state, [R, n, B, S]; zero where a row takes no step.
        scale: [R, n, B], whole numbers.
        parts: tells by recurrent block what its product brought to each step from the one after it, of the first
            gradient, [n, B, S], in units of 2**scale at the one after.
        along: tells by state what came to each step along the highway from the one after it, likewise.
        column: tells a column of the way back, by its number: what came to an input part or a product, [R, n, B, S].

    Raises:
        RuntimeError: the next stretch is there.
    """

    total: dict[str, Tensor]
    scale: Tensor
    parts: Callable[[], dict[str, Tensor]]
    along: Callable[[], dict[str, Tensor]]
    column: Callable[[int], Tensor]


class Way:
    """A way back through a run; call `through` from the last stretch of steps to the first.

    Args:
        kept: the run.
        sources: what is followed.
        scaling: when scales are set anew.
        apart: tell the first gradient's products and highway apart.
        alone: follow one gradient along the highway alone, through no product but those that link new states.
    """

    def __init__(
        self, kept: Kept, sources: Sources, scaling: Scaling, *, apart: bool = False, alone: bool = False
    ) -> None:
        self.kept, self.gradients, self._apart, self._scaling = kept, len(sources.which), apart, scaling
        sizes = kept.problem.sizes
        self._cell, self._like = sizes.cell, kept.memory.new[0]
        self._spaces: dict[str, Tensor] = {}
        self.later: dict[str, Tensor] = {}
        self._turn = 0
        self.steps, self._layout = adjoint(sizes.cell).steps, adjoint_layout(sizes, alone)
        self._parts = Columns([sizes.of(group.argument) for group in sizes.program.groups for _ in group.blocks])
        self._buffers = self._own_buffers(sources.cut_highway)
        self._states = kept_states(sizes, kept.memory)
        self._take_final(sources)
        self._take_local(sources)
        cut = [0] * self.gradients
        for g, block in sources.cut_blocks:
            cut[g] |= 1 << block_numbers(sizes.cell)[block]
        self._cut = torch.tensor(cut, device="cpu") if any(cut) else None
        self._first_blocks = torch.tensor(first_blocks(sizes, alone), dtype=torch.int32, device="cpu")
        self._starts = torch.tensor(self._parts.start, device="cpu")

    @property
    def bytes_a_step(self) -> int:
        """How much a step brings."""
        sizes, rows = self.kept.problem.sizes, self.kept.problem.rows
        each = sizes.columns_of(self.steps).width + sum(map(padded, sizes.states))
        return rows.B * (self.gradients * each + self._apart * self._parts.width) * self._like.element_size()

    @property
    def initial(self) -> dict[str, Tensor]:
        """What came to the initial states, by name, [R, B, S], when all is done; not scaled."""
        sizes, B = self.kept.problem.sizes, self.kept.problem.rows.B
        each = zip(sizes.cell.state_names, sizes.states, self._firsts, strict=True)
        return {name: self._asked(first.view(B, self.gradients, -1)[..., :size]) for name, size, first in each}

    def through(self, start: int, stop: int) -> Passed:
        """Go back through steps start..stop, in the order of the run."""
        kept, R, rows = self.kept, self.gradients, self.kept.problem.rows
        (early, late), (low, high) = kept.time(start, stop), kept.rows_of_steps(start, stop)
        columns, count = kept.problem.sizes.columns_of(self.steps), high - low
        totals = {name: self._like.new_empty(count * R, width) for name, width in self._told("total").items()}
        rooms = {name: _Room(self, name, R, count, width) for name, width in self._told("along").items()}
        if self._apart:
            rooms["apart"] = _Room(self, "apart", 1, count, self._parts.width)
        told = totals | {name: room.own for name, room in rooms.items()}
        told["columns"] = self.space("columns", max(count, rows.B) * R, columns.width)
        scales = torch.zeros(late - early, rows.B, R, dtype=torch.int32, device="cpu")
        self._run(told, scales, *((early, late) if rows.reverse else (rows.T - late, rows.T - early)))
        arrived = {name: room.arrived(start, stop) for name, room in rooms.items()}
        self._turn += 1
        sizes = self._sizes(totals, "total")
        return Passed(
            {name: kept.in_order(totals[f"total {name}"][:, :size], start, stop, R) for name, size in sizes},
            self._scales_in_order(scales, start, stop),
            self._now(lambda: {b: self._block(arrived["apart"], k) for b, k in block_numbers(self._cell).items()}),
            self._now(lambda: {n: arrived[f"along {n}"][..., :size] for n, size in self._sizes(arrived, "along")}),
            self._now(lambda k: kept.in_order(columns.view(told["columns"][: count * R], k), start, stop, R)),
        )

    def space(self, name: str, rows: int, width: int) -> Tensor:
        """Memory of a stretch, which the next uses again: fresh memory costs about as much as what is written there."""
        found = self._spaces.get(name)
        if found is None or len(found) < rows:
            found = self._spaces[name] = self._like.new_empty(rows, width)
        return found[:rows]

    def _now(self, tell: Callable) -> Callable:
        turn = self._turn

        def told(*arguments):
            if self._turn != turn:
                raise RuntimeError("this stretch of a reverse pass was left; ask it before the next one is made.")
            return tell(*arguments)

        return told

    def _told(self, kind: str) -> dict[str, int]:
        """What is stored at every step, by the names of the layout's buffers, and how wide."""
        each = zip(self._cell.state_names, self.kept.problem.sizes.states, strict=True)
        wanted = kind == "total" or self._apart
        return {f"{kind} {n}": padded(size) for n, size in each if wanted and f"{kind} {n}" in self._layout.buffers}

    def _sizes(self, found: Mapping[str, Tensor], kind: str) -> list[tuple[str, int]]:
        each = zip(self._cell.state_names, self.kept.problem.sizes.states, strict=True)
        return [(name, size) for name, size in each if f"{kind} {name}" in found]

    def _block(self, arrived: Tensor, k: int) -> Tensor:
        return arrived[..., self._parts.start[k] : self._parts.start[k] + self._parts.sizes[k]]

    def _own_buffers(self, cut_highway: frozenset[int]) -> dict[str, Tensor]:
        """All but what a stretch brings, by the names of the layout."""
        kept, R = self.kept, self.gradients
        sizes, rows, like = kept.problem.sizes, kept.problem.rows, kept.memory.new[0]
        found = kept.memory.buffers | own_vectors(sizes, kept.weights) | kept.packed
        found["carried"] = like.new_empty(rows.B * R, sizes.carried_of(self.steps).width)
        found["aside"] = like.new_empty(rows.B * R, padded(max(sizes.states)))
        found["factor"] = like.new_ones(rows.B, R)
        found["factor"][:, list(cut_highway)] = 0.0
        # Where nothing is asked for along the highway, nothing is stored there.
        return found | {f"along {name}": found["aside"] for name in sizes.cell.state_names if not self._apart}

    # --- from the asker's order to that of the run, and back ------------------------------------------------------

    def _own(self, value: Tensor) -> Tensor:
        """[R, B, ...] with the asker's rows as [B R, ...] with the run's."""
        numbers = self.kept.numbers
        return (value if numbers is None else value[:, numbers]).transpose(0, 1).flatten(0, 1).contiguous()

    def _asked(self, value: Tensor) -> Tensor:
        """[B, R, ...] with the run's rows as [R, B, ...] with the asker's."""
        numbers = self.kept.numbers
        return (value if numbers is None else value[torch.argsort(numbers)]).transpose(0, 1)

    def _scales_in_order(self, scales: Tensor, start: int, stop: int) -> Tensor:
        """[steps, B, R] in the order of the way back as [R, n, B] in the order of the run."""
        missing = stop - start - len(scales)
        ends = (missing, 0) if self.kept.problem.rows.reverse else (0, missing)
        found = self._asked(scales.permute(1, 2, 0)).flip(2).transpose(1, 2).long()
        return pad(found, (0, 0, *ends)) if missing else found

    def _take_final(self, sources: Sources) -> None:
        """What comes to the final states, each gradient in a scale that holds it."""
        sizes, rows = self.kept.problem.sizes, self.kept.problem.rows
        like, shape = self.kept.memory.new[0], (rows.B * self.gradients,)
        each = zip(sizes.cell.state_names, sizes.states, strict=True)
        ends = [
            self._own(sources.final[name]) if name in sources.final else like.new_zeros(*shape, size)
            for name, size in each
        ]
        largest = torch.stack([end.abs().amax(-1) for end in ends]).amax(0)
        exponent = torch.frexp(largest).exponent.clamp_min(self._scaling.lowest)
        scale = torch.where((exponent.abs() > self._scaling.room) & largest.isfinite(), exponent, 0)
        self._firsts = [like.new_zeros(*shape, padded(size)) for size in sizes.states]
        idle = slice(rows.began * self.gradients, None)
        for first, end in zip(self._firsts, ends, strict=True):
            first[idle, : end.shape[1]] = end[idle]  # rows without a step pass on what they get
        self._scale = torch.where(largest == 0, structures.NOTHING, scale).to(torch.int32)
        self._ends = [pad_units(torch.ldexp(end, -scale[:, None])) for end in ends]
        self._between = [like.new_zeros(2, *end.shape) for end in self._ends]
        filled = zip(self._states, self._ends, self._firsts, self._between, strict=True)
        for state, end, first, between in filled:
            state.d_final, state.d_initial, state.d_state = end.data_ptr(), first.data_ptr(), between.data_ptr()

    def _take_local(self, sources: Sources) -> None:
        """Where the losses of the steps lie."""
        rows, T = self.kept.problem.rows, self.kept.padded
        self._local = {name: v if v.stride(-1) == 1 else v.contiguous() for name, v in sources.local.items()}
        self._set = torch.tensor(sources.which, dtype=torch.int32, device="cpu")
        steps = sources.steps.clamp(max=T)
        if rows.reverse:
            steps = torch.where((steps < 0) | (steps == T), steps, T - 1 - steps)
        self._source = self._own(steps.long())
        self._numbers = None if self.kept.numbers is None else self.kept.numbers.contiguous()

    # --- the call -------------------------------------------------------------------------------------------------

    def _run(self, told: dict[str, Tensor], scales: Tensor, first: int, last: int) -> None:
        """Have the library go back through some steps, counted from the end of the run."""
        run = run_of(self.kept.problem, self._layout, self._buffers | told, self._states, keep=True, back=True)
        after, parts = torch.empty_like(self._scale), told.get("apart")
        call = structures.Following(
            ctypes.pointer(run),
            first,
            last,
            self.gradients,
            self._scaling.every,
            self._scaling.room,
            self._scaling.lowest,
            self._set.data_ptr(),
            self._source.data_ptr(),
            None if self._numbers is None else self._numbers.data_ptr(),
            self._local_places(),
            self._scale.data_ptr(),
            after.data_ptr(),
            scales.data_ptr(),
            self._first_blocks.data_ptr(),
            int(self._apart or self._cut is not None),
            int(self._apart),
            None if self._cut is None else self._cut.data_ptr(),
            None if parts is None else parts.data_ptr(),
            self._parts.width,
            self._starts.data_ptr(),
        )
        library.entry("hg_adjoint", self.kept.problem.products)(ctypes.byref(call))
        self._scale = after

    def _local_places(self) -> ctypes.Array:
        sizes, reverse = self.kept.problem.sizes, self.kept.problem.rows.reverse
        found = []
        for name, size in zip(sizes.cell.state_names, sizes.states, strict=True):
            value = self._local.get(name)
            if value is None:
                found.append(structures.Local(None, 0, 0, 0, 0))
                continue
            step = value.stride(-3)
            start = value.data_ptr() + (step * (value.shape[-3] - 1) * value.element_size() if reverse else 0)
            sets = value.stride(0) if value.dim() == 4 else 0
            found.append(structures.Local(start, sets, -step if reverse else step, value.stride(-2), size))
        return structures.array_of(structures.Local, len(found))(*found)


class _Room:
    """Memory for what each step hands to the one before it, and of the step after the stretch.

    Args:
        way: whose it is.
        name: of what.
        gradients: rows of each row of the batch.
        count: packed rows of the stretch.
        width: numbers a row.
    """

    def __init__(self, way: Way, name: str, gradients: int, count: int, width: int) -> None:
        self._way, self._name, self._gradients = way, name, gradients
        rows = way.kept.problem.rows
        self._step, self._own = rows.B * gradients, count * gradients
        # The step after the stretch lies where its time is, so that of a whole run all steps lie together.
        self._behind = self._step if rows.reverse else 0
        self._whole = way.space(name, self._own + self._step, width)
        self.own = self._whole[self._behind : self._behind + self._own]

    def arrived(self, start: int, stop: int) -> Tensor:
        """Of the first gradient, what came to each step of the stretch from the one after it, [n, B, width]."""
        kept, later = self._way.kept, self._way.later
        if not kept.whole:
            own = kept.in_order(self.own, start, stop, self._gradients)[0]
            last = later.get(self._name, torch.zeros_like(own[0]))
            later[self._name] = own[0].clone()
            return torch.cat([own[1:], last[None]])
        edge = self._whole[: self._step] if self._behind else self._whole[self._own :]
        first = self.own[-self._step :] if self._behind else self.own[: self._step]
        own, last = first.clone(), later.get(self._name)
        edge.zero_() if last is None else edge.copy_(last)
        later[self._name] = own
        return kept.in_order(self._whole, start, stop + 1, self._gradients)[0][1:]
