"""A training call's way back, written down."""

from __future__ import annotations

import ctypes

from headgate.engines.cpu import library, structures
from headgate.engines.cpu.buffers import padded
from headgate.engines.cpu.layout import backward_layout
from headgate.engines.cpu.plan import Plan, Rowwise
from headgate.engines.cpu.tape import Spot, Tape
from headgate.graph.expression import Node


def backward_tape(plan: Plan, given: frozenset[str], wanted: frozenset[str]) -> Tape:
    """All of it.

    Args:
        plan: whose.
        given: which gradients come: "output", "final <state>".
        wanted: which are found: "x", names of weights, "initial <state>".

    Returns:
        A tape for whose call the plan's bases are followed by weights that are kept packed, then "d <name>" of what is
        given and of what is wanted, both in the order of their names.
    """
    return _Writer(plan, given, wanted).all()


class _Writer:
    def __init__(self, plan: Plan, given: frozenset[str], wanted: frozenset[str]) -> None:
        self.plan, self.given, self.wanted = plan, given, wanted
        around = [f"d {name}" for name in (*sorted(given), *sorted(wanted))]
        self.tape = Tape([*plan.bases, *plan.held(back=True), *around], plan.width)
        self.columns = Rowwise(self.tape.scratch.take(plan.rows.N * plan.sizes.columns.width), plan.sizes.columns.width)

    def all(self) -> Tape:
        plan, tape, form, sizes = self.plan, self.tape, self.plan.form, self.plan.sizes
        places = {"kept": plan.columns, "columns": self.columns.at} | plan.vectors(tape)
        places["carried"] = tape.scratch.take(form.B * sizes.carried.width)
        for matrix in plan.matrices:
            if matrix.key != "input":
                places |= plan.pack(tape, matrix, back=True)
        first = form.cell.state_names[0]
        if "output" in self.given:
            places[f"y {first}"] = self._padded("d output", plan.rows.N, form.O)
        vectors, H = len(form.cell.vector_names), padded(form.H)
        sums = Rowwise(tape.scratch.take(form.threads * vectors * H), H)
        places["sums"] = sums.at
        plan.copy(tape, None, Rowwise(sums.at, vectors * H), form.threads, vectors * H)
        ends = self._states(places)
        if "weight_p" in self.wanted:
            to = Rowwise(tape.base("d weight_p"), form.H)
            plan.copy(tape, sums, to, vectors, form.H, parts=form.threads, apart=vectors * H)
        for source, to, size in ends:
            plan.copy(tape, source, to, form.B, size)
        if "x" in self.wanted:
            self._input()
        self._sums()
        return tape

    def _padded(self, name: str, rows: int, size: int) -> Spot:
        """Where [rows, S] lies as [rows, S padded]."""
        given, width = self.tape.base(name), padded(size)
        if width == size:
            return given
        own = self.tape.scratch.take(rows * width)
        self.plan.copy(self.tape, Rowwise(given, size), Rowwise(own, width), rows, size, width=width)
        return own

    def _states(self, places: dict[str, Spot]) -> list[tuple[Rowwise, Rowwise, int]]:
        """Run all steps; which gradients of initial states are then to be copied where."""
        plan, tape, B = self.plan, self.tape, self.plan.form.B
        states, copies = [], []
        for k, (name, size) in enumerate(zip(plan.form.cell.state_names, plan.sizes.states, strict=True)):
            width = padded(size)
            asked, direct = f"initial {name}" in self.wanted, width == size
            if f"final {name}" in self.given:
                end = self._padded(f"d final {name}", B, size)
            else:
                end = tape.scratch.take(B * width)
                plan.copy(tape, None, Rowwise(end, width), B, width)
            start = tape.base(f"d initial {name}") if asked and direct else tape.scratch.take(B * width)
            plan.copy(tape, None, Rowwise(start, width), B, width)
            if asked and not direct:
                copies.append((Rowwise(start, width), Rowwise(tape.base(f"d initial {name}"), size), size))
            between = tape.scratch.take(2 * B * width)
            states.append((structures.State(units=width, stride=width, kept=1), k, end, start, between))
        put = [
            tape.put(
                state,
                initial=plan.initial[k].at,
                new_state=plan.history[k].at,
                final=between,
                d_final=end,
                d_initial=start,
                d_state=between,
            )
            for state, k, end, start, between in states
        ]
        names = plan.form.cell.state_names
        layout = backward_layout(plan.sizes, frozenset(names[:1] if "output" in self.given else ()))
        plan.run(tape, layout, places, put, back=True)
        return copies

    # --- what follows from the columns of gradients, after the loop ---------------------------------------------------

    def _runs(self, columns: list[int]) -> list[tuple[int, int, int]]:
        """Columns as stretches without padding between: where each begins, its units, and how many are before it."""
        places, found, before = self.plan.sizes.columns, [], 0
        for column in columns:
            start, size = places.start[column], places.sizes[column]
            if found and sum(found[-1][:2]) == start:
                found[-1] = (found[-1][0], found[-1][1] + size, found[-1][2])
            else:
                found.append((start, size, before))
            before += size
        return found

    def _input(self) -> None:
        """The gradient of the input."""
        plan, tape, form = self.plan, self.tape, self.plan.form
        matrix, columns = plan.matrices[0], self.columns
        runs = self._runs([plan.sizes.program.backward.x[gate] for gate in form.cell.gate_names])
        segments = {
            "segments": len(runs),
            "start": (ctypes.c_int64 * len(runs))(*(start for start, _, _ in runs)),
            "length": (ctypes.c_int64 * len(runs))(*(units for _, units, _ in runs)),
        }
        shared = {"stride": columns.stride, "threads": form.threads, **segments}
        if library.in_pieces(form.products):
            rows = matrix.rows.stop - matrix.rows.start
            right = self._right((Rowwise(tape.base(matrix.name), form.I),), rows, form.I)
            block = tape.put(structures.Block(units=plan.rows.N), right=right, result=tape.base("d x"))
            job = structures.Summing(rows=rows, n_blocks=1, **shared)
            tape.do(plan.entry("hg_sum"), tape.put(job, left=columns.at, blocks=block))
        else:
            weight = plan.pack(tape, matrix, back=True)[f"w {matrix.key}"]
            job = structures.Multiplying(rows=plan.rows.N, units=form.I, **shared)
            spot = tape.put(job, vector=columns.at, packed=weight, result=tape.base("d x"))
            tape.do(plan.entry("hg_multiply"), spot)

    def _sums(self) -> None:
        """The gradients of the weights and biases."""
        plan, tape = self.plan, self.tape
        back, jobs = plan.sizes.program.backward, []
        gates = [back.x[gate] for gate in plan.form.cell.gate_names]
        sides = [("ih", 0, gates, (Rowwise(tape.base("x"), plan.form.I),), plan.rows.N, plan.form.I)]
        for group in plan.sizes.program.groups:
            first = plan.sizes.rows_of(group).start
            columns = [back.blocks[block] for block in group.blocks]
            sides.append((group.matrix.name, first, columns, *self._vectors(group.argument)))
        for name, first, columns, parts, above, width in sides:
            names = [n if n in self.wanted else None for n in (f"weight_{name}", f"bias_{name}")]
            if not any(names):
                continue
            right = self._right(parts, above, width)
            for start, units, before in self._runs(columns):
                unit = (first + before) * plan.width
                result, total = (None if n is None else tape.base(f"d {n}") for n in names)
                block = structures.Block(from_=start, units=units)
                jobs.append((block, right, result and result.on(unit * width), total and total.on(unit)))
        if not jobs:
            return
        blocks = [tape.put(block, right=right, result=result, sum=total) for block, right, result, total in jobs]
        job = structures.Summing(
            stride=self.columns.stride, rows=plan.rows.N, n_blocks=len(blocks), threads=plan.form.threads
        )
        tape.do(plan.entry("hg_sum"), tape.put(job, left=self.columns.at, blocks=blocks[0]))

    def _right(self, parts: tuple[Rowwise, ...], above: int, width: int) -> Spot:
        right = structures.Right(first=above, columns=width)
        for k, part in enumerate(parts):
            right.stride[k] = part.stride
        spot = self.tape.put(right)
        for k, part in enumerate(parts):
            self.tape.point(spot.on(8 * k), part.at)
        return spot

    def _vectors(self, argument: Node) -> tuple[tuple[Rowwise, ...], int, int]:
        """What a product was applied to at every step: rows in one part or two, how many the first has, their width."""
        plan, sizes = self.plan, self.plan.sizes
        B, N = plan.form.B, plan.rows.N
        if argument in sizes.kept_of:
            k = sizes.kept_of[argument]
            at = plan.columns.on(sizes.kept.start[k] * plan.width)
            return (Rowwise(at, sizes.kept.width),), N, sizes.kept.sizes[k]
        if argument.kind != "leaf":
            k = sizes.state_of[argument]
            return (plan.history[k],), N, sizes.states[k]
        k = sizes.cell.state_names.index(argument.label[1])
        history = plan.history[k]
        if plan.form.reverse:
            later = Rowwise(history.at.on(B * history.stride * plan.width), history.stride)
            return (later, plan.initial[k]), N - B, sizes.states[k]
        return (plan.initial[k], history), B, sizes.states[k]
