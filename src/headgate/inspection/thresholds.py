"""What a rule compares with, and what it answers; no number of a rule stands anywhere else."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Thresholds:
    """Every number that a rule compares with.

    Attributes:
        weak: relative gradient below which a lag counts as weakly trained (AUTOTRAINER's layer ratio).
        strong: the same for strongly vanished (SageMaker's mean |gradient|).
        better_by: share of the baseline by which a loss must be below it to count as better, where no interval can be
            told: of one sequence, and of a batch's mean in training.
        growth: relative gradient above which it explodes (AUTOTRAINER's beta 3).
        norm_jump: multiple of the usual gradient norm above which it explodes (Pascanu et al. clip at 0.5 to 10).
        constant_deviation: standard deviation of a gate's pre-activation, logit units, below which it may be constant.
        constant_share: share of steps at one end of the gate's range from which it may be constant.
        constant_units: share of a gate's units that must be constant for a word on the whole gate.
        truncation: 1 - cosine between the truncated and the whole parameter gradient above which truncation is blind.
        cap_bfloat16: longest time scale of a gate in bfloat16: the largest value below 1 is 1 - 2^-8.
        cap_float16: the same in float16: 1 - 2^-11.
    """

    weak: float = 1e-3
    strong: float = 1e-7
    better_by: float = 0.1
    growth: float = 70.0
    norm_jump: float = 10.0
    constant_deviation: float = 0.1
    constant_share: float = 0.99
    constant_units: float = 0.5
    truncation: float = 0.1
    cap_bfloat16: int = 255
    cap_float16: int = 2047

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
                raise ValueError(f"Thresholds: {name} is {value!r}, but a finite number above 0 is needed.")
        if self.strong > self.weak:
            raise ValueError(
                f"Thresholds: strong is {self.strong} and weak is {self.weak}, but what has strongly vanished has "
                "weakly vanished too; give strong <= weak."
            )


DEFAULTS = Thresholds()


@dataclass(frozen=True)
class Verdict:
    """What can be said, and why.

    Attributes:
        name: in capitals, as "VANISHING".
        level: "bad", "warn", "note" or "good".
        text: one sentence.
        number: the number it rests on, as "r(90) = 2e-8".
        rule: what that number was compared with.
        source: where the rule comes from.
        about: what of the layer it is about, as "f" or "f, unit 7"; empty: the whole.
    """

    name: str
    level: str
    text: str
    number: str
    rule: str
    source: str
    about: str = ""

    def as_facts(self) -> dict[str, Any]:
        """As it stands in a Record's facts."""
        return asdict(self)
