"""Two processes under DistributedDataParallel, over gloo: the gradients of one process on the whole batch."""

import pytest
import torch
from comparing import assert_all_close
from nn.two_processes import Tagger, gradients, worker
from tolerances import TOLERANCE
from torch import distributed
from torch.multiprocessing import spawn


@pytest.mark.skipif(
    not (distributed.is_available() and distributed.is_gloo_available()), reason="this torch was built without gloo"
)
def test_two_processes_have_the_gradients_of_one(tmp_path):
    spawn(worker, (str(tmp_path),), nprocs=2)
    torch.manual_seed(0)
    expected = gradients(Tagger(), slice(None))
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert_all_close(found, expected, TOLERANCE["stock", torch.float64])
