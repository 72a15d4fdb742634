"""Series cut by time: training first, then validation, then test, each reading back into the part before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from headgate.data import DataError, Example
from headgate.tasks.bench.forecast.options import Options
from headgate.tasks.bench.forecast.series import Series
from headgate.tasks.settings import Learning

ORDER = ("train", "validation", "test")


def part(
    examples: Iterable[Example], split: str, missing: Sequence[str], options: Options, learning: Learning
) -> Iterator[Example]:
    """The part of each series that is for a split; see `BenchTask.part`. Series without room for one are left out.

    Raises:
        DataError: a series is shorter than a split that was given in steps, or none has room for this part.
    """
    longest, place, found = 0, None, False
    for example in examples:
        series: Series = example.input
        longest, place = max(longest, series.end), place or example.place
        bounds = _bounds(series.end, missing, options, learning, example)
        first, last = bounds.get(split, (0, 0))
        if last - first < (options.horizon if split != "train" else 1):
            continue
        season = options.season or series.frequency.season
        begin, found = max(0, first - max(options.lookback, season)), True
        yield replace(example, input=series.cut(begin, last, first))
    if place is not None and not found:
        raise DataError(
            f"{place}: no series has room for a part for {split} with one forecast of {options.horizon} steps (the "
            f"longest has {longest}); give a smaller --horizon, another --split, or longer series."
        )


def _bounds(
    steps: int, missing: Sequence[str], options: Options, learning: Learning, example: Example
) -> dict[str, tuple[int, int]]:
    """First step and the one after the last, by split."""
    parts = [name for name in ORDER if name == "train" or name in missing]
    shares = options.shares()
    if shares is None:
        sizes = {name: learning.holdout for name in parts[1:]}
        sizes["train"] = 1 - sum(sizes.values())
    else:
        sizes = {name: size for name, size in zip(ORDER, shares, strict=True) if name in parts}
    if min(sizes.values()) >= 1:
        counts = {name: int(size) for name, size in sizes.items()}
        if sum(counts.values()) > steps:
            raise DataError(
                f"{example.place}: series {example.input.name!r} has {steps} steps, but split={options.split!r} needs "
                f"{sum(counts.values())}; give fewer, or shares."
            )
    else:
        # What is held out has room for one forecast at least, if as much is left to learn from.
        whole = sum(sizes.values()) if shares is not None and len(parts) < len(ORDER) else 1.0
        counts = {name: max(round(steps * size / whole), options.horizon) for name, size in sizes.items()}
        counts["train"] = steps - sum(counts[name] for name in parts[1:])
        if shares is not None:
            counts["train"] = min(counts["train"], round(steps * sizes["train"] / whole))
        if counts["train"] <= options.horizon:
            counts = {name: 0 for name in parts} | {"train": steps}
    bounds, at = {}, 0
    for name in parts:
        bounds[name] = (at, at + counts[name])
        at += counts[name]
    return bounds
