"""Where every value lies on the way back as the watch takes it; see `layout.py`."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from headgate.cells import Cell
from headgate.engines.cpu import structures
from headgate.engines.cpu.buffers import padded
from headgate.engines.cpu.layout import Layout, Sizes
from headgate.engines.cpu.structures import EACH, Place, Product
from headgate.graph.adjoint import adjoint
from headgate.graph.expression import Node
from headgate.graph.program import Backward, Pass, Store, program


@cache
def adjoint_layout(sizes: Sizes, alone: bool) -> Layout:
    """The way back with the ways apart.

    Its buffers, beside those that `Layout` names: "total <state>" and "along <state>", "factor" of the highway, and
    "aside" for what is not asked for.

    Args:
        sizes: of a run that kept its values.
        alone: follow what the highway alone would bring to the memory, through no product but those that link new
            states.
    """
    whole, cell = adjoint(sizes.cell), sizes.cell
    steps, groups = whole.steps, sizes.program.groups
    layout = Layout(sizes, means=len(steps.means))
    width = sizes.columns_of(steps).width
    followed = whole.linking if alone else frozenset(range(len(groups)))
    # The highway's own are read by products alone; all others tell what comes to the input, too.
    kept = structures.SCRATCH if alone and not followed else EACH

    def product(k: int) -> Product:
        columns = [steps.blocks[block] for block in groups[k].blocks]
        own = sizes.columns_of(steps)
        segments = [(own.start[c], own.sizes[c]) for c in columns]
        return layout.product(layout.place(kept, "columns", stride=width), segments, 1, str(k), False)

    def each(name: str, state: str) -> Place:
        return layout.place(EACH, f"{name} {state}", stride=padded(sizes.states[cell.state_names.index(state)]))

    def aside() -> Place:
        return layout.place(structures.SCRATCH, "aside", stride=padded(max(sizes.states)))

    def read(node: Node, item: Pass) -> Place:
        namespace, name = node.label if node.kind == "leaf" else ("", "")
        if namespace == "d":
            return layout.place(structures.LATER, index=cell.state_names.index(name))
        if namespace == "k":
            return layout.place(structures.SCRATCH, "factor", stride=1, once=True)
        if namespace in ("dv", "dw") and (name not in followed or (alone and namespace == "dw")):
            return layout.place(structures.ROWLESS)
        if namespace in ("dv", "dw") and name in item.products:
            where = structures.PRODUCT if namespace == "dv" else structures.HANDED
            return layout.place(where, index=item.products.index(name))
        told = _told_before(steps, node, item)
        return layout.made_on_the_way(steps, node, item, kept) if told is None else target(told)

    def target(store: Store) -> Place:
        if store.kind in ("total", "along"):
            wanted = not alone or (store.kind == "total" and store.key == cell.memory)
            return each(store.kind, store.key) if wanted or _is_read(steps, store) else aside()
        return layout.found_on_the_way(steps, store, kept)

    multiplied = set(steps.blocks.values())

    def barrier(item: Pass) -> bool:
        last = item is passes[-1] and bool(steps.means)
        return last or any(store.kind == "column" and store.key in multiplied for store in item.stores)

    passes = tuple(replace(item, products=tuple(k for k in item.products if k in followed)) for item in steps.passes)
    layout.set_passes("adjoint", passes, product, read, target, barrier)
    return layout


def _told_before(steps: Backward, node: Node, item: Pass) -> Store | None:
    """The total that an earlier pass than this one has stored and that is this value."""
    stores = (store for earlier in steps.passes if earlier.level < item.level for store in earlier.stores)
    return next((store for store in stores if store.kind == "total" and store.value is node), None)


def _is_read(steps: Backward, store: Store) -> bool:
    """Whether a later pass reads what is stored, which is no carried gradient that lies elsewhere too."""
    return store.value.kind != "leaf" and any(store.value in item.reads for item in steps.passes if item.level)


@cache
def block_numbers(cell: Cell) -> dict[str, int]:
    """The recurrent blocks, counted in the order of the groups of products."""
    return {block: k for k, block in enumerate(block for group in program(cell).groups for block in group.blocks)}


@cache
def first_blocks(sizes: Sizes, alone: bool) -> tuple[int, ...]:
    """For every product of the passes, in their order, the number of its first block."""
    groups, whole = sizes.program.groups, adjoint(sizes.cell)
    made = [k for item in whole.steps.passes for k in item.products if not alone or k in whole.linking]
    return tuple(block_numbers(sizes.cell)[groups[k].blocks[0]] for k in made)
