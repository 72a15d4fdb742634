"""A training call's way forward, written down."""

from __future__ import annotations

from headgate.engines.cpu import structures
from headgate.engines.cpu.buffers import padded
from headgate.engines.cpu.layout import forward_layout
from headgate.engines.cpu.plan import Plan, Rowwise
from headgate.engines.cpu.tape import Tape


def forward_tape(plan: Plan) -> Tape:
    """All of it; after the plan's bases a call brings each "final <state>", [B, S], and the weights kept packed."""
    form, sizes, N = plan.form, plan.sizes, plan.rows.N
    names = form.cell.state_names
    ends = [f"final {name}" for name in names]
    tape = Tape([*plan.bases, *ends, *plan.held(back=False)], plan.width)
    places = {"x": tape.base("x"), "kept": plan.columns} | plan.vectors(tape)
    for matrix in plan.matrices:
        places |= plan.pack(tape, matrix, back=False)
    states, results = [], [(plan.history[0], Rowwise(tape.base("output"), form.O), N, form.O)]
    for k, (name, end, size) in enumerate(zip(names, ends, sizes.states, strict=True)):
        width, first = padded(size), plan.initial[k]
        given, final = tape.base(f"initial {name}"), tape.base(end)
        after = final if width == size else tape.scratch.take(form.B * width)
        if width > size:
            plan.copy(tape, Rowwise(given, size), first, form.B, size, width=width)
            results.append((Rowwise(after, width), Rowwise(final, size), form.B, size))
        states.append((structures.State(units=width, stride=width, kept=1), first.at, plan.history[k].at, after))
    put = [tape.put(state, initial=a, new_state=b, final=c) for state, a, b, c in states]
    layout = forward_layout(sizes, frozenset(name for name in form.names if name.startswith("bias")))
    plan.run(tape, layout, places, put, back=False)
    for source, to, rows, columns in results:
        if source.at != to.at:
            plan.copy(tape, source, to, rows, columns)
    return tape
