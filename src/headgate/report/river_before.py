"""Records of the same layers at another time, before training, for the unrolled picture to turn to."""

from __future__ import annotations

from collections.abc import Sequence

from headgate.inspection.record import Record

SAME = {"cell": "cell", "hidden_size": "units", "steps": "steps", "reverse": "reverse"}


class Unmatched(ValueError):
    """What was before is not of the same layers, or cannot be drawn."""


def paired(records: Sequence[Record], before: Sequence[Record], caller: str = "write_watch_report") -> list[Record]:
    """What was before each of the records, in their order; nothing where nothing was given.

    Raises:
        Unmatched: not the same layers, each once, or layers that differ in cell, size, direction or steps.
    """
    if not before:
        return []
    names, others = ([record.name for record in both] for both in (records, before))
    if sorted(names) != sorted(set(others)) or len(others) != len(names):
        raise Unmatched(
            f"{caller}: before holds {_listed(others)}, but the records are {_listed(names)}; give the same layers by "
            "the same names, each once."
        )
    by_name = {record.name: record for record in before}
    for record in records:
        for fact, word in SAME.items():
            was, now = by_name[record.name].facts.get(fact), record.facts.get(fact)
            if was != now:
                raise Unmatched(
                    f"{caller}: {record.name} has {word} {was} before, but {now} now; give Records of the same model "
                    "on sequences of the same length."
                )
    return [by_name[name] for name in names]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
