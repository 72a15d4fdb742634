"""Tables of numbers as pictures: viridis in 255 steps, one byte a cell, as a PNG that stands inside the page."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from markupsafe import Markup

from headgate.report import svg
from headgate.report.plot import Box
from headgate.report.pyramid import extremes

# Twenty points of viridis (S. van der Walt & N. Smith, public domain); between them, straight lines.
VIRIDIS = bytes.fromhex(
    "440154 481567 482677 453781 404788 39568c 33638d 2d708e 287d8e 238a8d 1f968b 20a387 29af7f 3cbb75 55c667 73d055 "
    "95d840 b8de29 dce319 fde725"
)
LEVELS, NOTHING = 255, 255
MOST = 256


def palette() -> np.ndarray:
    """Colours of the steps, [255, 3] of 0 to 255, all different."""
    points = np.frombuffer(VIRIDIS, np.uint8).reshape(-1, 3).astype(float)
    places = np.linspace(0, len(points) - 1, LEVELS)
    channels = [np.interp(places, range(len(points)), points[:, k]) for k in range(3)]
    steps = np.stack(channels, 1).round().astype(np.uint8)
    # Where the colours hardly change, two steps round to one; the page tells values by their colour.
    steps[1:, 2] += (steps[1:] == steps[:-1]).all(1)
    return steps


def colour(part: float) -> str:
    """The colour of a place between 0 and 1, as a fill."""
    red, green, blue = palette()[round(min(max(part, 0.0), 1.0) * (LEVELS - 1))]
    return f"#{red:02x}{green:02x}{blue:02x}"


def quantised(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """One byte a cell: 0 to 254 from `low` to `high`, 255 where there is nothing."""
    part = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.where(np.isfinite(values), np.nan_to_num(part * (LEVELS - 1)).round(), NOTHING).astype(np.uint8)


def png(cells: np.ndarray) -> bytes:
    """An image of bytes [rows, columns] by the palette; 255 is transparent."""
    rows, columns = cells.shape
    raw = b"".join(b"\0" + cells[k].tobytes() for k in range(rows))
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    parts = [
        (b"IHDR", header),
        (b"PLTE", palette().tobytes() + b"\0\0\0"),
        (b"tRNS", b"\xff" * LEVELS + b"\0"),
        (b"IDAT", zlib.compress(raw, 9)),
        (b"IEND", b""),
    ]
    chunks = [
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def heat(values: np.ndarray, box: Box, low: float, high: float, words: str, *, most: int = MOST) -> Markup:
    """A table that fills a box, its first row at the top; under the pointer, a reader is told the value.

    Args:
        values: [rows, columns], NaN for nothing; pieces are joined where there are more than `most`, keeping peaks.
        low, high: values at the two ends of the colours; what lies beyond has the end's colour.
        words: what a value is called.
    """
    cells = extremes(values, most, most)
    address = "data:image/png;base64," + base64.b64encode(png(quantised(cells, low, high))).decode("ascii")
    return svg.element(
        "image",
        href=address,
        x=box.left,
        y=box.top,
        width=box.right - box.left,
        height=box.bottom - box.top,
        preserveAspectRatio="none",
        class_="heat",
        style="image-rendering: pixelated",
        data_low=f"{low:.6g}",
        data_high=f"{high:.6g}",
        data_name=words,
    )


def legend(box: Box, low: str, high: str, words: str) -> Markup:
    """A bar of the colours with the words of its two ends, beneath each other to the right of a chart."""
    bar = np.arange(LEVELS - 1, -1, -2, dtype=np.uint8)[:, None]
    address = "data:image/png;base64," + base64.b64encode(png(bar)).decode("ascii")
    middle = (box.top + box.bottom) / 2
    x = box.right + 14
    turn = f"rotate(-90 {svg.number(x)} {svg.number(middle)})"
    return svg.group(
        svg.element("image", href=address, x=box.left, y=box.top, width=box.right - box.left,
                    height=box.bottom - box.top, preserveAspectRatio="none"),
        svg.text(box.right + 5, box.top + 9, high, class_="tick"),
        svg.text(box.right + 5, box.bottom, low, class_="tick"),
        svg.text(x, middle + 4, words, class_="tick", text_anchor="middle", transform=turn) if words else Markup(""),
    )  # fmt: skip
