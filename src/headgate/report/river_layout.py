"""Where things stand."""

from __future__ import annotations

# In pixels, or parts of a cell's width; widths of arrows in pixels, by decades.
GEOMETRY = {
    "gutter": 104, "margin": 8, "narrow": 700, "cell_min": 76, "cell_max": 124, "bundle": 46, "bundle_min": 17,
    "loss": 12, "arrives": 36, "pipe_label": 54, "pipe_top": 62, "pipe_bottom": 120, "blade": 5, "blade_over": 4,
    "cell_top": 136, "cell_bottom": 174, "port": 172, "radius": 8.5, "port_from": 0.15, "port_to": 0.74, "node": 0.93,
    "lane_top": 194, "lane_min": 58, "track": 15, "step_gap": 22, "below": 34, "map_height": 118,
    "full": 10, "per_decade": 1, "hair": 1, "cap": 13,
}  # fmt: skip
