"""What all tests share."""

import os
from pathlib import Path

# Cells that tests compile are kept with the build, not in the home of whoever runs them.
os.environ["XDG_CACHE_HOME"] = str(Path(__file__).resolve().parents[1] / "build" / "cache")
