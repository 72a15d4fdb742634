"""The tiny task among the bench's own, and files for it."""

from __future__ import annotations

import random
from pathlib import Path

from headgate.tasks import bench

FOLDER = str(Path(__file__).parent / "registered")


def register() -> None:
    """Put it where the registry looks."""
    if FOLDER not in bench.__path__:
        bench.__path__.append(FOLDER)
        bench.names.cache_clear()


def write(path: Path, rows: int = 60, seed: int = 0) -> Path:
    """Rows of 4 to 8 signs; the answer is the first."""
    choose = random.Random(seed)
    signs = ["".join(choose.choice("01") for _ in range(choose.randint(4, 8))) for _ in range(rows)]
    path.write_text("".join(f"{one},{'yes' if one[0] == '1' else 'no'}\n" for one in signs))
    return path


register()
