"""What a monitor sees, in TensorBoard: few scalars, gates on the logit axis, and the horizon film as an image.

A writer is anything with `add_scalar`, `add_histogram_raw` and `add_image`, as torch.utils.tensorboard's SummaryWriter
and tensorboardX's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from headgate.inspection.film import Film
from headgate.inspection.gates import LOGIT_EDGES
from headgate.inspection.glance import GateGlance
from headgate.inspection.monitor import Look

# Viridis (matplotlib, CC0) at eleven places; perceived as even by most eyes.
VIRIDIS = np.array(
    [
        *[(68, 1, 84), (72, 36, 117), (65, 68, 135), (53, 95, 141), (42, 120, 142), (33, 145, 140), (34, 168, 132)],
        *[(68, 191, 112), (122, 209, 81), (189, 223, 38), (253, 231, 37)],
    ],
    dtype=float,
)
# log10 of the relative gradient at both ends of the colours; what grew beyond 70 is white, what was not seen grey.
FAINTEST, STRONGEST, EXPLODED = -8.0, 0.0, math.log10(70.0)
GREY, WHITE, BLACK, RED = (200, 200, 200), (255, 255, 255), (40, 40, 40), (200, 30, 30)
# Pixels.
WIDTH, HEIGHT, LOSS_HEIGHT, LEGEND = 480, 240, 60, 12


def write_look(writer: Any, look: Look, histograms: bool = True) -> None:
    """Write one look; nothing between looks.

    Args:
        writer: see above.
        look: from `Monitor.step` after its `with`, or from `Monitor.look`.
        histograms: also one of each gate's pre-activations, "rnn/LAYER/logit_GATE".
    """
    if not look:
        return
    for tag, value in look.scalars.items():
        writer.add_scalar(tag, value, look.step)
    if histograms:
        for name, seen in look.glances.items():
            for gate, values in seen.gates.items():
                _write_histogram(writer, f"rnn/{name}/logit_{gate}", values, look.step)


def write_film(writer: Any, film: Film, step: int, warned: Mapping[str, Iterable[int]] | None = None) -> None:
    """Write the film of every layer and direction so far as an image, "rnn/LAYER/film".

    Args:
        writer: see above.
        film: of a monitor.
        step: the image's place in training.
        warned: by layer and direction, steps that get a pin.
    """
    for name in film.names():
        pins = (warned or {}).get(name, ())
        writer.add_image(f"rnn/{name}/film", film_image(film.arrays(name), pins), step, dataformats="HWC")


def film_image(arrays: Mapping[str, np.ndarray], pins: Iterable[int] = ()) -> np.ndarray:
    """Training step to the right, lag upwards on a log axis, colour the log10 relative gradient; loss and pins above.

    Args:
        arrays: `film_steps` [N], `film` [N, lag], `film_loss` [N], `lags` [lag], as `Film.arrays` gives them.
        pins: steps to mark.

    Returns:
        Red, green and blue, [height, width, 3] uint8. The strip at the right is the scale, from 1e-8 up to 1.
    """
    steps, lags = np.asarray(arrays["film_steps"], dtype=float), np.asarray(arrays["lags"], dtype=float)
    at = np.linspace(steps[0], max(steps[-1], steps[0] + 1), WIDTH)
    # A look stands until the next one.
    shown = np.searchsorted(steps, at, side="right") - 1
    heights = np.geomspace(1.0, max(lags[-1], 2.0), HEIGHT)[::-1]
    film = np.stack([np.interp(heights, lags, row, right=math.nan) for row in arrays["film"]], axis=1)
    picture = colours(film[:, shown])
    above = _loss_strip(np.asarray(arrays["film_loss"], dtype=float)[shown])
    for pin in pins:
        column = int(np.clip(np.searchsorted(at, pin), 0, WIDTH - 1))
        above[:, max(0, column - 1) : column + 1] = RED
    scale = colours(np.linspace(STRONGEST, FAINTEST, HEIGHT)[:, None].repeat(LEGEND, 1))
    corner = np.full((LOSS_HEIGHT, LEGEND, 3), WHITE, dtype=np.uint8)
    return np.concatenate([np.concatenate([above, corner], 1), np.concatenate([picture, scale], 1)])


def colours(values: np.ndarray) -> np.ndarray:
    """log10 values [...] to red, green and blue, [..., 3] uint8."""
    place = np.clip((values - FAINTEST) / (STRONGEST - FAINTEST), 0.0, 1.0) * (len(VIRIDIS) - 1)
    there = ~np.isnan(values)
    anchors = np.arange(len(VIRIDIS))
    painted = np.stack([np.interp(np.where(there, place, 0.0), anchors, channel) for channel in VIRIDIS.T], -1)
    painted[values > EXPLODED] = WHITE
    painted[~there] = GREY
    return painted.round().astype(np.uint8)


def _loss_strip(loss: np.ndarray) -> np.ndarray:
    """The loss as a line, on a log axis if it is above 0, [height, width, 3]; nothing where it is not known."""
    strip = np.full((LOSS_HEIGHT, len(loss), 3), WHITE, dtype=np.uint8)
    known = np.isfinite(loss)
    if not known.any():
        return strip
    if (loss[known] > 0).all():
        loss = np.log10(loss, where=known, out=np.full(len(loss), math.nan))
    low, high = loss[known].min(), loss[known].max()
    share = (loss - low) / (high - low) if high > low else np.full(len(loss), 0.5)
    rows = np.where(known, (1.0 - share) * (LOSS_HEIGHT - 3), 0.0).round().astype(int)
    for column in np.flatnonzero(known):
        strip[rows[column] : rows[column] + 2, column] = BLACK
    return strip


def _write_histogram(writer: Any, tag: str, gate: GateGlance, step: int) -> None:
    filled = np.flatnonzero(gate.histogram)
    writer.add_histogram_raw(
        tag,
        min=float(LOGIT_EDGES[filled[0]]),
        max=float(LOGIT_EDGES[filled[-1] + 1]),
        num=int(gate.histogram.sum()),
        sum=gate.total,
        sum_squares=gate.squares,
        bucket_limits=LOGIT_EDGES[1:].tolist(),
        bucket_counts=gate.histogram.tolist(),
        global_step=step,
    )
