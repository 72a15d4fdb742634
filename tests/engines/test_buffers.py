"""Memory of a run: large pages where it is large, and nothing beyond its ends."""

import re
from pathlib import Path

import pytest
import torch

from headgate.engines.cpu import buffers, library

MAPS, SWITCH = Path("/proc/self/smaps"), Path("/sys/kernel/mm/transparent_hugepage/enabled")
PAGE = buffers.PAGE
pytestmark = pytest.mark.skipif(library.library() is None, reason="the library was not built")


def flags_at(address: int) -> list[str]:
    """What the system notes of the mapping in which an address lies."""
    inside = False
    for line in MAPS.read_text().splitlines():
        bounds = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
        if bounds:
            inside = int(bounds[1], 16) <= address < int(bounds[2], 16)
        elif inside and line.startswith("VmFlags:"):
            return line.split()[1:]
    raise AssertionError(f"{address:x} is not mapped")


@pytest.mark.skipif(not (MAPS.is_file() and SWITCH.is_file()), reason="this system has no large pages to ask for")
def test_large_memory_is_asked_for_in_large_pages():
    """Beyond what malloc keeps for itself, so that each is a mapping that nobody has asked anything of before."""
    made = buffers.room(5, 1 << 22, dtype=torch.float32)
    plain = torch.empty(5, 1 << 22)
    assert made.shape == plain.shape and made.dtype is torch.float32
    assert "hg" in flags_at(made.data_ptr() + made.nbytes // 2)
    assert "hg" not in flags_at(plain.data_ptr() + plain.nbytes // 2)
    assert "hg" not in flags_at(made.data_ptr()) or made.data_ptr() % PAGE == 0


@pytest.mark.skipif(not (MAPS.is_file() and SWITCH.is_file()), reason="this system has no large pages to ask for")
@pytest.mark.parametrize("numbers", [PAGE // 4, PAGE // 4 + 1, 3 * PAGE - 5])
def test_memory_to_be_reread_begins_and_ends_in_a_large_page(numbers):
    made = buffers.room_to_reread(numbers, dtype=torch.float32)
    assert made.shape == (numbers,) and made.dtype is torch.float32 and made.data_ptr() % PAGE == 0
    for address in (made.data_ptr(), made.data_ptr() + made.nbytes - 1):
        assert "hg" in flags_at(address)


@pytest.mark.parametrize("numbers", [0, 1, PAGE // 8 - 1, PAGE // 8, PAGE // 8 + 1])
def test_memory_to_be_reread_holds_what_is_written(numbers):
    numbered = torch.arange(numbers, dtype=torch.float64)
    assert torch.equal(buffers.room_to_reread(numbers, dtype=torch.float64).copy_(numbered), numbered)


@pytest.mark.parametrize("numbers", [0, 1, buffers.LARGE // 8, buffers.LARGE // 8 + 1, 1 << 21])
def test_what_memory_holds_is_left_alone(numbers):
    whole = torch.arange(numbers + 2, dtype=torch.float64)
    inside = whole[1:-1]
    library.library().hg_large_pages(inside.data_ptr(), inside.nbytes)
    assert torch.equal(whole, torch.arange(numbers + 2, dtype=torch.float64))
    made = buffers.room(numbers, dtype=torch.float64)
    assert torch.equal(made.copy_(inside), inside)
