"""One layer's Record as the charts ask for it: arrays or None, facts or what stands for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headgate.inspection.record import Record
from headgate.report.hues import style

NOT_MEASURED = "not in this record"
LEVELS = ("bad", "warn", "note", "good")


@dataclass(frozen=True)
class Layer:
    """A Record, read.

    Attributes:
        record: what was measured.
        key: short and unique on the page, for identifiers.
        detail: most cells along a side of a picture made of cells; fewer make a smaller page.
    """

    record: Record
    key: str = "r0"
    detail: int = 256

    @property
    def facts(self) -> dict[str, Any]:
        return self.record.facts

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def label(self) -> str:
        """The cell's name."""
        return str(self.facts.get("label") or self.facts.get("cell") or "layer")

    @property
    def title(self) -> str:
        """Where it stands in the model, and what it is."""
        direction = ", reverse" if self.facts.get("reverse") else ""
        return f"{self.name}: {self.label}{direction}"

    @property
    def memory(self) -> str:
        return str(self.facts.get("memory", "m"))

    @property
    def steps(self) -> int:
        return int(self.facts.get("steps") or 0)

    @property
    def gates(self) -> list[str]:
        return [str(name) for name in self.facts.get("gates") or []]

    @property
    def keeps(self) -> str | None:
        """The gate that is the memory's own factor, if one is."""
        return self.facts.get("keeps")

    @property
    def paths(self) -> list[str]:
        return [str(name) for name in self.facts.get("paths") or []]

    @property
    def need(self) -> int | None:
        """How far back the task reaches, if anybody said."""
        return self.facts.get("needs_lag")

    @property
    def text(self) -> list[str]:
        """What was read, only where the user asked for it to be kept."""
        return [str(token) for token in self.facts.get("text") or []]

    def is_gate(self, name: str) -> bool:
        """Whether its values lie in (0, 1)."""
        return (self.facts.get("gate_kinds") or {}).get(name, "gate") == "gate"

    def style(self, path: str) -> str:
        """CSS classes of a path."""
        return style(path, self.paths)

    def array(self, name: str) -> np.ndarray | None:
        """A float64 array, or None: not measured, empty, or nothing but NaN."""
        found = self.record.arrays.get(name)
        if found is None or not found.size:
            return None
        values = np.asarray(found, dtype=np.float64)
        return values if np.isfinite(values).any() else None

    def arrays(self, *names: str) -> list[np.ndarray] | None:
        """Several of them; None if one is not there."""
        found = [self.array(name) for name in names]
        return None if any(values is None for values in found) else found

    def horizon(self, name: str) -> dict[str, Any]:
        """A horizon's facts; {"missing": why} where there are none."""
        return (self.facts.get("horizons") or {}).get(name) or {"missing": self.why(name)}

    def why(self, *names: str) -> str:
        """Why something was not measured, by the first of these names that the record speaks of."""
        told = self.facts.get("missing") or {}
        return next((str(told[name]) for name in names if name in told), NOT_MEASURED)

    def cost(self, value: float, raw: bool | None = None) -> str:
        """What taking something out cost, in words: a share of the way to chance where chance is known, else loss.

        `raw`: whether the value is a difference of losses; None: as the record's ablation is.
        """
        raw = self.raw_costs if raw is None else raw
        return f"{value:+.3g} in loss" if raw else f"{round(100 * value)} % of the way to chance"

    @property
    def raw_costs(self) -> bool:
        """Whether effects are differences of losses, and not shares of the way to chance."""
        triage = self.facts.get("triage") or [{}]
        return "loss" in (self.facts.get("ablation_unit"), triage[0].get("unit_of_kill"))

    @property
    def verdicts(self) -> list[dict[str, Any]]:
        """The most serious first, otherwise in the record's order."""
        found = self.facts.get("verdicts") or []
        return sorted(found, key=lambda verdict: LEVELS.index(verdict["level"]) if verdict["level"] in LEVELS else 2)

    def at_lag(self, name: str, lag: float, row: int | None = None) -> float:
        """A profile's value at the lag that was measured nearest to the one asked for; NaN if there is none."""
        lags, values = self.array("lags"), self.array(name)
        if lags is None or values is None:
            return math.nan
        line = values if row is None else values[row]
        return float(line[int(np.abs(lags - lag).argmin())])


def layers(records: Sequence[Record], detail: int = 256) -> list[Layer]:
    """Records with keys of their own."""
    return [Layer(record, f"r{number}", detail) for number, record in enumerate(records)]
