"""One thread, as in the workers: sums come out in one order, and nobody waits for anybody."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)
