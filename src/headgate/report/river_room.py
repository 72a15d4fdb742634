"""How much a page of the unrolled picture has room for beside the picture itself: units, sequences, losses alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from headgate.inspection.record import Record

# What they may take of a page together, in bytes before they are written as text; fewer of them fit into long runs.
BYTES = 540_000


class Room(NamedTuple):
    """How many of each a Record may show by itself: top units, sequences, losses before the last."""

    units: int
    rows: int
    earlier: int


def room_for(records: Sequence[Record], others: Sequence[Record] = (), most: int = BYTES) -> Room:
    """How many of each kind every record may have: one of each in turn, while all of them fit.

    Args:
        records: of the page.
        others: shown in the place of the first ones; their whole pictures take from the same room.
        most: bytes.
    """
    both, kinds = [*records, *others], Room._fields
    left = most - sum(_picture(record) * int(record.facts.get("steps", 0)) for record in others)
    had, full = dict.fromkeys(kinds, 0), set()
    while len(full) < len(kinds):
        for kind in kinds:
            costs = [cost for record in both if (cost := _cost(record, kind, had[kind]))]
            if costs and sum(costs) <= left:
                had[kind] += 1
                left -= sum(costs)
            else:
                full.add(kind)
    return Room(**had)


def held(record: Record) -> Room:
    """How many of each a Record holds."""
    names = ("top_units", "shown_rows", "earlier_sources")
    return Room(*(len(record.arrays.get(name, ())) for name in names))


def _cost(record: Record, kind: str, place: int) -> int:
    """Bytes of one more of a kind, the place-th; 0 where the Record has no such one."""
    if place >= getattr(held(record), kind):
        return 0
    paths, gates = len(record.facts["paths"]), len(record.facts["gates"])
    # Norms of paths take a byte, shares, the gradient and the factor two, and so does each gate of a row.
    each = {"units": 3 * paths + 4, "rows": 3 * paths + 2 * gates + 5, "earlier": 3 * paths + 2}[kind]
    return int(record.facts["steps"]) * each


def _picture(record: Record) -> int:
    """Bytes a step of the picture without anything by itself."""
    paths, cuts, gates = (len(record.facts.get(name, ())) for name in ("paths", "cuts", "gates"))
    return 5 * paths + 2 * cuts + 2 * gates + 7
