"""What all tests share."""

import os
from pathlib import Path

import pytest
import torch

# Cells that tests compile are kept with the build, not in the home of whoever runs them.
os.environ["XDG_CACHE_HOME"] = str(Path(__file__).resolve().parents[1] / "build" / "cache")


@pytest.fixture
def three_threads():
    """torch's number of threads is three meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)
