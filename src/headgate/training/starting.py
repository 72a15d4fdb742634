"""Processes started and ended together; Ctrl-C, which reaches them all at once, is their parent's to answer."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any

Pool = list[tuple[Any, Connection]]


def start(pool: Pool, life: Callable[..., None], arguments: Iterable[tuple[Any, ...]], daemon: bool) -> None:
    """Start processes of their own interpreter, in which Ctrl-C is held back.

    Args:
        pool: each process joins it once it is started, with our end of its pipe, so that all are known if one fails.
        life: called in the process with its end of the pipe, then the arguments.
        arguments: of each process.
        daemon: as multiprocessing's; one that is may start no processes itself.

    Raises:
        KeyboardInterrupt: when all are started, if it came meanwhile.
    """
    context = multiprocessing.get_context("spawn")
    with _ctrl_c_held_back():
        for given in arguments:
            ours, theirs = context.Pipe()
            process = context.Process(target=life, args=(theirs, *given), daemon=daemon)
            process.start()
            theirs.close()
            pool.append((process, ours))


def end(pool: Pool) -> None:
    """Close the pipes, and end the processes that have not ended."""
    for process, pipe in pool:
        pipe.close()
        process.terminate()
    for process, _ in pool:
        process.join()


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Within it, processes are born with SIGINT blocked; one that comes, to whichever thread, is answered after it."""
    # multiprocessing's helper is started with the first process, and that would let SIGINT through again.
    resource_tracker.ensure_running()
    came: list[int] = []
    first = threading.current_thread() is threading.main_thread()  # the only one that may handle signals
    handler = signal.signal(signal.SIGINT, lambda kind, frame: came.append(kind)) if first else None
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if first:
            signal.signal(signal.SIGINT, handler)
    if came and handler is not signal.SIG_IGN:  # as it is for what a shell runs in the background
        raise KeyboardInterrupt
