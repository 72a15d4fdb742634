"""Colours as others see them: without red, green or blue cones, or with no colour at all; how far apart two then are.

Missing cones after Machado, Oliveira & Fernandes (2009, doi 10.1109/TVCG.2009.113) at full severity; distances in
CAM02-UCS (Luo, Cui & Li 2006), where 1 is about what an eye just notices in large areas side by side.
"""

from __future__ import annotations

import re

import numpy as np
from colorspacious import cspace_convert

MISSING = {"protanopia": "protanomaly", "deuteranopia": "deuteranomaly", "tritanopia": "tritanomaly"}
GRAY = "grayscale"
VISIONS = ("usual", *MISSING, GRAY)


def channels(colour: str) -> np.ndarray:
    """Red, green, blue of "#rrggbb" or of a browser's "rgb(1, 2, 3)", 0 to 1."""
    if colour.startswith("#"):
        return np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.array([float(part) for part in re.findall(r"[\d.]+", colour)[:3]]) / 255


def light(colours: np.ndarray) -> np.ndarray:
    """Relative luminance by WCAG, [...] of [..., 3]."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def contrast(one: np.ndarray, two: np.ndarray) -> float:
    """WCAG contrast of two colours, 1 to 21."""
    low, high = sorted((float(light(one)), float(light(two))))
    return (high + 0.05) / (low + 0.05)


def seen(colours: np.ndarray, vision: str) -> np.ndarray:
    """Places in CAM02-UCS as a vision sees colours, [N, 3] of [N, 3]: lightness, and two that are 0 for grays."""
    if vision == GRAY:
        linear = light(colours)
        gray = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        colours = np.repeat(gray[:, None], 3, 1)
    elif vision in MISSING:
        space = {"name": "sRGB1+CVD", "cvd_type": MISSING[vision], "severity": 100}
        colours = np.clip(cspace_convert(colours, space, "sRGB1"), 0.0, 1.0)
    return cspace_convert(colours, "sRGB1", "CAM02-UCS")


def distance(one: str, two: str, vision: str) -> float:
    """How far apart two colours are to a vision."""
    places = seen(np.stack([channels(one), channels(two)]), vision)
    return float(np.linalg.norm(places[0] - places[1]))
