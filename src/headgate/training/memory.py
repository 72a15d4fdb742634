"""Memory that every training step needs again is kept, not given back to the system in between."""

from __future__ import annotations

import ctypes

# Of glibc's <malloc.h>: how many blocks may be mapped by themselves, and from how many free bytes on memory is returned.
_MMAP_MAX, _TRIM_THRESHOLD, _MOST = -4, -1, 2**31 - 1


def keep_memory() -> bool:
    """Have this process keep what it frees, for the next step, until it ends.

    Large blocks are otherwise mapped anew at every step and fetched page by page, which on a CPU takes up to a fifth of
    a step's time (mallopt(3); figures in benchmarks/README.md).

    Returns:
        Whether the system's allocator has such a setting; nothing is changed where it has not.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return mallopt(_MMAP_MAX, 0) == 1 and mallopt(_TRIM_THRESHOLD, _MOST) == 1
