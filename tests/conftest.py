"""What all tests share."""

import os
import signal
from pathlib import Path

import pytest
import torch

# Cells that tests compile are kept with the build, not in the home of whoever runs them.
os.environ["XDG_CACHE_HOME"] = str(Path(__file__).resolve().parents[1] / "build" / "cache")


# A run started in the background ignores Ctrl-C, and so would every command that a test starts and then interrupts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_make_parametrize_id(val, argname):
    """Bytes stand in no test's name: gzip writes the clock into them, and every worker must find the same names."""
    return argname if isinstance(val, bytes) else None


def torch_threads(count):
    """A fixture during which torch's number of threads is another."""

    @pytest.fixture
    def meanwhile():
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        yield
        torch.set_num_threads(before)

    return meanwhile


one_thread, two_threads, three_threads = (torch_threads(count) for count in (1, 2, 3))
