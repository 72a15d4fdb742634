"""What a forecast can be told: which column is what, how far ahead, what is answered, and how it is judged."""

from __future__ import annotations

from dataclasses import dataclass

from headgate.tasks.settings import option

POINTS = ("mse", "mae")
SPREAD = ("quantile", "gaussian", "student_t", "negative_binomial")
HEADS = (*POINTS, *SPREAD)
DECODERS = ("direct", "recursive")
NORMALISATIONS = ("none", "last", "window", "mean")
FILLS = ("last", "mean", "zero", "refuse")


@dataclass(frozen=True)
class Options:
    """Settings of the forecast task; names of columns are separated by commas.

    Attributes: see the help of each field.

    Raises:
        ValueError: a setting that is not one of those that are known, or two that contradict each other.
    """

    time: str = option("", "column of times; guessed from its name or its cells if not given")
    date_form: str = option("", "how times are written, as strftime has it (%d/%m/%Y); guessed if not given")
    series: str = option("", "column that names the series of a long table; unique_id or the like if not given")
    target: str = option("", "columns to forecast; y, or else every column of numbers without another role")
    past: str = option("", "columns known up to the forecast's origin alone")
    future: str = option("", "columns known beyond the origin as well")
    static: str = option("", "columns that say one thing of a whole series; text is a category")
    horizon: int = option(24, "steps to forecast, H")
    lookback: int = option(96, "steps that are read before the origin, L")
    head: str = option("mae", "what is learned: a point by its error, quantiles, or a distribution", HEADS)
    decoder: str = option("direct", "all steps at once, or each from the forecast of the one before", DECODERS)
    normalise: str = option("", "of each window; last, or mean for counts, where empty", ("", *NORMALISATIONS))
    joint: bool = option(True, "read and forecast all targets together; else each by itself, with shared weights")
    line: bool = option(True, "add a linear path from the look-back, which starts as the seasonal naive forecast")
    calendar: bool = option(True, "read time of day, day of week and day of year of dates")
    fill: str = option("last", "what stands in for a missing value", FILLS)
    season: int = option(0, "steps of a season, of MASE and the seasonal naive forecast; by the frequency if 0")
    split: str = option("", "train/validation/test, as steps (8640/2880/2880) or shares (0.7/0.1/0.2)")
    stride: int = option(1, "steps from one origin of the backtest to the next")
    interval: float = option(
        0.8, "share of values that the stated interval is to hold", later=("evaluate",), only=("head", SPREAD)
    )
    quantiles: str = option(
        "0.1,0.5,0.9", "levels of the quantiles that are answered", later=("predict",), only=("head", SPREAD)
    )
    future_values: str = option(
        "", "a file with the future columns beyond the history's end, to predict with", later=("predict",)
    )

    def __post_init__(self) -> None:
        known = {"head": HEADS, "decoder": DECODERS, "normalise": ("", *NORMALISATIONS), "fill": FILLS}
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} is {getattr(self, name)!r}; known are {', '.join(filter(None, values))}.")
        for name, least in {"horizon": 1, "lookback": 1, "stride": 1, "season": 0}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, but at least {least} was expected.")
        if not 0 < self.interval < 1:
            raise ValueError(f"interval is {self.interval}, but a share between 0 and 1 was expected.")
        if self.head == "negative_binomial" and self.normalise in ("last", "window"):
            raise ValueError(
                f"normalise={self.normalise!r} shifts values, but head='negative_binomial' is for counts from 0 on; "
                "choose mean or none."
            )
        self._refuse_two_roles()
        self.levels()
        self.shares()

    def _refuse_two_roles(self) -> None:
        roles: dict[str, str] = {}
        for role in ("time", "series", "target", "past", "future", "static"):
            for name in columns(getattr(self, role)):
                if name in roles:
                    raise ValueError(f"column {name!r} is given as {roles[name]} and as {role}; give it one role.")
                roles[name] = role

    @property
    def normalisation(self) -> str:
        """The one in force."""
        return self.normalise or ("mean" if self.head == "negative_binomial" else "last")

    def bounds(self) -> tuple[float, float]:
        """Levels of the ends of the stated interval."""
        return round((1 - self.interval) / 2, 6), round((1 + self.interval) / 2, 6)

    def levels(self) -> list[float]:
        """Levels of all quantiles that a model gives, ascending: those asked for, the interval's ends, the median."""
        try:
            asked = [float(part) for part in self.quantiles.split(",") if part.strip()]
        except ValueError:
            asked = [0.0]
        if not all(0 < level < 1 for level in asked):
            raise ValueError(
                f"quantiles is {self.quantiles!r}, but levels between 0 and 1, such as 0.1,0.5,0.9, were expected."
            )
        return sorted({*asked, *self.bounds(), 0.5})

    def shares(self) -> tuple[float, float, float] | None:
        """The split: steps of training, validation and test (all at least 1), or shares; None where none is given."""
        if not self.split:
            return None
        try:
            parts = tuple(float(part) for part in self.split.split("/"))
        except ValueError:
            parts = ()
        whole = all(part >= 1 and part == int(part) for part in parts)
        small = all(0 < part < 1 for part in parts) and sum(parts) < 1 + 1e-9
        if len(parts) != 3 or not (whole or small):
            raise ValueError(
                f"split is {self.split!r}, but three numbers of steps (8640/2880/2880) or three shares of at most 1 in "
                "all (0.7/0.1/0.2) were expected."
            )
        return parts


def columns(names: str) -> list[str]:
    """Names separated by commas, as a list."""
    return [name.strip() for name in names.split(",") if name.strip()]


