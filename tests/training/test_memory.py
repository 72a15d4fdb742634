"""Memory is kept from step to step."""

from __future__ import annotations

import subprocess
import sys

import pytest

from headgate.training import memory

# Pages that are fetched while a block of 64 MB is filled and freed again and again.
FETCHED = """
import resource, sys
import torch
from headgate.training.memory import keep_memory
if sys.argv[1] == "keep":
    print(keep_memory())
def fill():
    torch.ones(16_000_000)
fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    fill()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def fetched(how: str) -> list[str]:
    command = [sys.executable, "-c", FETCHED, how]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_what_is_freed_is_used_again():
    there, pages = fetched("keep")
    if there == "False":
        pytest.skip("this system's allocator cannot be told")
    assert int(pages) < 1000 < 10_000 < int(fetched("leave")[0])


def test_another_allocator_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert memory.keep_memory() is False
