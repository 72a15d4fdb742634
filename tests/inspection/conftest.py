"""Every test of the watch draws the same weights, whichever tests run before it; some run on both ways back."""

import pytest
import torch

from headgate.inspection import adjoint


@pytest.fixture(autouse=True)
def _same_draws():
    torch.manual_seed(0)


@pytest.fixture
def by_torch(monkeypatch):
    """Reverse passes by torch's operations."""
    monkeypatch.setattr(adjoint, "refusal", lambda run: "the test asks for torch's operations")


@pytest.fixture(params=["compiled", "torch"])
def way(request):
    """Reverse passes in the compiled library and by torch's operations, one after the other."""
    if request.param == "torch":
        request.getfixturevalue("by_torch")
    return request.param
