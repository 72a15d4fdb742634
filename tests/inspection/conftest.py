"""Every test of the watch draws the same weights, whichever tests run before it."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _same_draws():
    torch.manual_seed(0)
