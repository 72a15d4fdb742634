"""Where headgate keeps what it can make again: `$XDG_CACHE_HOME/headgate`, by default `~/.cache/headgate`."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def folder() -> Path:
    """The folder, which may not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headgate"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of what is kept at a path, so that two processes do not make it twice; a dead process holds none.

    Raises:
        OSError: the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
