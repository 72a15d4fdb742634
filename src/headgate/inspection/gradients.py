"""Gradients on their way back, reduced to what is told of them: by lag, by path, with paths cut (M1 to M5).

All of it comes from one reverse pass, stretch by stretch, so that nothing of the size of the run is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headgate.inspection.adjoint import HIGHWAY, READOUT, Adjoint
from headgate.inspection.flow import LARGEST_SHIFT, Back, Loss, Stretch
from headgate.inspection.lags import by_lag, lag_grid, median, quantiles

BAND = (0.1, 0.5, 0.9)
# So many sources before the last are split by path as well, and so many rows are told one by one.
EARLIER, SHOWN_ROWS = 4, 4
LOG2 = math.log10(2.0)


@dataclass(frozen=True)
class Gradients:
    """One reverse pass of several sources, in the order of the run. Logarithms are to base 10; NaN: nothing there.

    Attributes:
        norm: log |dl_s/dm_t| of each source, [S, T, B]; the first source is the last step that the loss reads.
        largest: log of the largest |entry| of the first source's, [T, B].
        highway, rest: log norm of the pure highway's part of the first, and of what is left without it, [T, B].
        highway_share: <highway, total> / |total|^2, [T, B].
        cut: log norm of the first with one path knocked out, [cut, T, B]; labels in `cuts`.
        path_norm: log norm of each path's part, [path, T, B]; labels in `paths`.
        path_share, path_cosine: <part, total> / |total|^2 and the cosine, [path, T, B].
        cancellation: sum of the parts' norms over the total's, [T, B].
        whole: log |dL/dm_t| of the loss of all steps, [T, B], where that was asked for.
        cuts, paths: labels.
        begins: the first step that each row takes, [B].
        earlier: a few of the other sources by path, as a Record's arrays; see `earlier_sources`.
    """

    norm: np.ndarray
    largest: np.ndarray
    highway: np.ndarray
    rest: np.ndarray
    highway_share: np.ndarray
    cut: np.ndarray
    path_norm: np.ndarray
    path_share: np.ndarray
    path_cosine: np.ndarray
    cancellation: np.ndarray
    whole: np.ndarray | None
    cuts: tuple[str, ...]
    paths: tuple[str, ...]
    begins: np.ndarray
    earlier: dict[str, np.ndarray]

    @property
    def origin(self) -> np.ndarray:
        """The step of lag 0 of each source and row: the last that its gradient comes to, [S, B]; -1 if to none."""
        there = np.isfinite(self.norm)
        return np.where(there.any(1), self.norm.shape[1] - 1 - there[:, ::-1].argmax(1), -1)

    @property
    def lags(self) -> np.ndarray:
        """[lag]"""
        return lag_grid(self.norm.shape[1])

    def relative(self) -> np.ndarray:
        """log r(k) of each source and row, [lag, S, B]: |dl_s/dm_{s-k}| / |dl_s/dm_s|; -inf where nothing arrives."""
        return self._relative(self.norm.transpose(1, 0, 2), self.origin, self.lags)

    def of_last(self, lags: np.ndarray) -> np.ndarray:
        """log r(k) of the first source at any lags, [lag, B]."""
        return self._relative(self.norm[0], self.origin[0], lags)

    def _relative(self, norm: np.ndarray, origin: np.ndarray, lags: np.ndarray) -> np.ndarray:
        found = by_lag(norm, origin, lags)
        nothing = np.isnan(found) & (origin - lags.reshape(-1, *[1] * origin.ndim) >= self.begins)
        return np.where(nothing, -np.inf, found - by_lag(norm, origin, np.zeros(1, int)))

    def profile(self) -> np.ndarray:
        """log r(k) over all sources: 10 %, median, 90 %, [3, lag].

        The median is over rows, and its mean over sources in the logarithm; the band is of rows and sources together.
        """
        relative = self.relative()
        band = quantiles(relative.reshape(len(relative), -1), BAND, 1)
        each = median(relative, 2)
        there = ~np.isnan(each)
        total = np.where(there, each, 0.0).sum(1)
        band[1] = np.where(there.any(1), total / np.maximum(there.sum(1), 1), np.nan)
        return band

    def record(self) -> dict[str, np.ndarray]:
        """What a Record keeps of it, by the names of its schema; all but the profile of the first source."""
        first, lags = self.origin[0], self.lags
        start = by_lag(self.norm[0], first, lags[:1])

        def looked_up(values: np.ndarray, relative: bool = True) -> np.ndarray:
            found = by_lag(values, first, lags)
            return median(found - start if relative else found, 1)

        found = {
            "lag_profile": self.profile(),
            "source_profile": median(self.relative(), 2).T,
            "largest_entry": looked_up(self.largest, relative=False),
            "highway_profile": looked_up(self.highway),
            "rest_profile": looked_up(self.rest),
            "highway_share": looked_up(self.highway_share, relative=False),
            "cut_profile": np.stack([looked_up(each) for each in self.cut]),
            "arrow_norm": median(self.path_norm, 2),
            "arrow_share": median(self.path_share, 2),
            "arrow_cosine": median(self.path_cosine, 2),
            "cancellation": median(self.cancellation, 1),
            "gradient_norm": median(self.norm[0], 1),
            "cut_gradient": median(self.cut, 2),
        }
        if self.whole is not None:
            found["loss_gradient"] = median(self.whole, 1)
        found = {name: np.where(np.isneginf(value), np.nan, value) for name, value in found.items()}
        return {"lags": lags} | found | self.earlier

    def by_row(self, most: int = SHOWN_ROWS) -> dict[str, np.ndarray]:
        """The first source's arrows of the first rows that it has a gradient for, as a Record's arrays: `shown_rows`
        [row], `row_gradient` [row, T], `row_arrow_norm` and `row_arrow_share` [row, path, T]."""
        rows = np.flatnonzero(self.origin[0] >= 0)[:most]
        found = {"row_gradient": self.norm[0], "row_arrow_norm": self.path_norm, "row_arrow_share": self.path_share}
        return {"shown_rows": rows} | {
            name: np.moveaxis(value[..., rows], -1, 0).astype(np.float32) for name, value in found.items()
        }


def gradients(
    adjoint: Adjoint, loss: Loss, whole: Loss | None = None, also: Callable[[Stretch], None] | None = None
) -> Gradients:
    """Follow several sources of a loss back, the first of them by path, with the highway alone, and with paths cut.

    Args:
        adjoint: the run.
        loss: with the sources to follow, [S, B] or none for one, and no cuts.
        whole: the loss of all steps, to be followed beside them; a few of the other sources are then split, too.
        also: told every stretch on the way, from the last; of its inputs and products the sources' alone.
    """
    cuts = [HIGHWAY, *adjoint.route.graph.products]
    S = 1 if loss.sources is None else len(loss.sources)
    back = Back(adjoint, _side_by_side(adjoint, loss, S, cuts, whole), highway=True, paths=True, told=S)
    pieces: list[dict[str, np.ndarray]] = []
    for stretch in back:
        pieces.append(_reduced(stretch))
        if also is not None:
            also(stretch)
    if not pieces:
        raise ValueError("gradients: a run without a step has none.")
    found = {key: np.concatenate([piece[key] for piece in reversed(pieces)], axis=-2) for key in pieces[0]}
    norm = found.pop("norm")
    there = np.flatnonzero(np.isfinite(norm[:S]).any((1, 2)))
    begins = adjoint.run.active[..., 0].to(torch.uint8).argmax(0).cpu().numpy()
    return Gradients(
        norm[:S],
        cut=norm[S : S + len(cuts)],
        whole=None if whole is None else norm[-1],
        **found,
        cuts=tuple(cuts),
        # In this order everywhere they are shown.
        paths=(*cuts, READOUT),
        begins=begins,
        earlier={} if whole is None else earlier_sources(adjoint, loss, there),
    )


@torch.no_grad()
def earlier_sources(
    adjoint: Adjoint, loss: Loss, there: np.ndarray, most: int = EARLIER
) -> dict[str, np.ndarray]:
    """Some of the sources before the last, split by path as the last is: a reverse pass each.

    Which, is spaced by the logarithm of their place among the sources: two near the last differ more than two far ones.

    Args:
        adjoint: the run.
        loss: with its sources, as `LocalLoss.sources` gives it.
        there: places of those from which any gradient comes; short rows have fewer.
        most: how many at most.

    Returns:
        `earlier_sources` [earlier], places in `loss.sources`; `earlier_gradient` [earlier, T], `earlier_arrow_norm` and
        `earlier_arrow_share` [earlier, path, T], medians over rows in the order of the run. Empty where the last source
        is the only one.
    """
    if len(there) < 2:
        return {}
    places = there[np.unique(np.geomspace(1, len(there) - 1, most).round().astype(int))]
    found = [_by_path(adjoint, Loss(loss.local, loss.final, loss.sources[k : k + 1], which=[k])) for k in places]
    names = {"norm": "earlier_gradient", "path_norm": "earlier_arrow_norm", "path_share": "earlier_arrow_share"}
    arrays = {told: np.stack([each[name] for each in found]).astype(np.float32) for name, told in names.items()}
    return {"earlier_sources": places} | arrays


def _by_path(adjoint: Adjoint, loss: Loss) -> dict[str, np.ndarray]:
    """One source's norm and the norms and shares of its paths, medians over rows: [T], [path, T], [path, T]."""
    back = Back(adjoint, loss, paths=True)
    pieces = [{key: _numbers(value) for key, value in _split(stretch).items()} for stretch in back]
    whole = {key: np.concatenate([piece[key] for piece in reversed(pieces)], axis=-2) for key in pieces[0]}
    return {key: median(value, value.ndim - 1) for key, value in whole.items()}


def _side_by_side(adjoint: Adjoint, loss: Loss, S: int, cuts: list[str], whole: Loss | None) -> Loss:
    """The sources, behind them the first of them once more for every cut, and the whole loss."""
    run = adjoint.run
    everything = torch.full((1, run.input.shape[1]), -1, device=run.input.device)
    sources = everything if loss.sources is None else loss.sources
    which = [*range(S), *[0] * len(cuts)]
    rows = [sources[which]]
    local, final = dict(loss.local), dict(loss.final)
    if whole is not None:
        rows.append(everything)
        which.append(S)
        for several, one in ((local, whole.local), (final, whole.final)):
            for name, value in several.items():
                if value.dim() == one[name].dim() + 1:
                    several[name] = torch.cat([value, one[name][None]])
    return Loss(local, final, torch.cat(rows), [(S + k, label) for k, label in enumerate(cuts)], which)


def _reduced(stretch: Stretch) -> dict[str, np.ndarray]:
    total, memory = stretch.total[stretch.memory], stretch.total[stretch.memory][0]
    scale = stretch.scale.to(total.dtype)
    norm, exponent = log_norm(total, scale), scale[0]
    highway, split = highway_beside(stretch), _split(stretch)
    relative = split["path_norm"] - norm[0]
    found = {
        "norm": norm,
        "largest": torch.log10(memory.abs().amax(-1)) + exponent * LOG2,
        "highway": log_norm(stretch.highway, stretch.highway_scale.to(total.dtype)),
        "rest": log_norm(memory - highway, exponent),
        "highway_share": share_of(highway, memory),
        "path_norm": split["path_norm"],
        "path_share": split["path_share"],
        "path_cosine": split["path_share"] / 10.0**relative,
        "cancellation": (10.0**relative).sum(0),
    }
    return {key: _numbers(value) for key, value in found.items()}


def _split(stretch: Stretch) -> dict[str, Tensor]:
    """The first gradient's norm, [n, B], and the norms and shares of its paths, [path, n, B]."""
    memory, exponent = stretch.total[stretch.memory][0], stretch.scale[0].to(stretch.total[stretch.memory].dtype)
    parts = torch.stack([stretch.paths[label] for label in _in_order(list(stretch.paths))])
    return {
        "norm": log_norm(memory, exponent),
        "path_norm": log_norm(parts, exponent),
        "path_share": share_of(parts, memory),
    }


def _in_order(labels: list[str]) -> list[str]:
    return [label for label in labels if label != READOUT] + [READOUT]


def highway_beside(stretch: Stretch) -> Tensor:
    """The pure highway's part in the units of the first total, so that they can be held against each other."""
    largest = LARGEST_SHIFT[stretch.highway.dtype]
    # What is far smaller counts for nothing.
    shift = (stretch.highway_scale - stretch.scale[0]).clamp(-largest, largest).to(stretch.highway.dtype)
    return stretch.highway * torch.exp2(shift)[..., None]


def log_norm(value: Tensor, scale: Tensor) -> Tensor:
    """log10 of the norm over units of a value in units of 2**scale; -inf where it is zero. [..., H] -> [...]."""
    largest = value.abs().amax(-1)
    safe = torch.where(largest > 0, largest, torch.ones_like(largest))
    norm = largest * (value / safe[..., None]).square().sum(-1).sqrt()
    return torch.log10(norm.double()) + scale.double() * LOG2


def share_of(part: Tensor, total: Tensor) -> Tensor:
    """<part, total> / |total|^2 over units; NaN where there is no total."""
    largest = total.abs().amax(-1, keepdim=True)
    part, total = part / largest, total / largest
    return (part * total).sum(-1) / total.square().sum(-1)


def _numbers(value: Tensor) -> np.ndarray:
    found = value.double().cpu().numpy()
    return np.where(np.isfinite(found), found, np.nan)
