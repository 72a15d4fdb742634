"""Processes started here: what they answer, how they end, and that none outlives the one that started it."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from headgate.training.starting import Pool, end, start

# What a process sends back to be raised where it was started; anything else is a fault of ours, and shows there.
RAISED = (KeyboardInterrupt, ValueError, TypeError, KeyError, OSError, ArithmeticError)


class Stopped(KeyboardInterrupt):
    """Training was interrupted and can go on; the message says how."""


class LearnerDied(ChildProcessError):
    """A process that learned with others ended without an answer: killed, or out of memory."""


def alone(work: Callable[..., Any], *arguments: Any) -> tuple[Any, int]:
    """A function's value, from a process of its own, and the most memory that it took, in bytes.

    The value is no tensor: the memory of one that is sent ends with its process.

    Raises:
        What the function raises; LearnerDied: the process was killed.
    """
    ((kind, content),) = finished(_work, [(torch.get_num_threads(), work, arguments)])
    if kind == "raised":
        raise content
    return content


def _work(pipe: Connection, threads: int, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    begin(threads)
    try:
        value = work(*arguments)
        # Linux counts in KiB, macOS in bytes.
        unit = 1 if sys.platform == "darwin" else 1024
        answer: tuple[str, Any] = ("done", (value, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit))
    except RAISED as error:
        answer = ("raised", error)
    pipe.send(answer)


def finished(life: Callable[..., None], arguments: Iterable[tuple[Any, ...]]) -> list[tuple[str, Any]]:
    """What processes answer at their end: ("done", value) or ("raised", error); none of them is left.

    Args:
        life: what each does; it begins with `begin`, and sends its answer into the pipe that it is given first.
        arguments: what it is given after that, for each process.

    Raises:
        LearnerDied: one ended without an answer; KeyboardInterrupt: Ctrl-C while they were started.
    """
    pool: Pool = []
    try:
        start(pool, life, arguments, daemon=False)
        with _passed_on([process for process, _ in pool]):
            return _answers(pool)
    finally:
        end(pool)


def _answers(pool: Pool) -> list[tuple[str, Any]]:
    """What each process says at its end; the first that fails ends the waiting."""
    waiting, answers = [pipe for _, pipe in pool], []
    while waiting:
        for pipe in wait(waiting):
            try:
                answer = pipe.recv()
            except (EOFError, ConnectionError):
                raise LearnerDied(
                    "a process that learned with others ended without an answer; it was killed, or memory ran out. "
                    "What was learned up to the last checkpoint is kept."
                ) from None
            waiting.remove(pipe)
            answers.append(answer)
            if answer[0] == "raised" and not isinstance(answer[1], Stopped):
                return [answer]
    return answers


def begin(threads: int) -> None:
    """The first thing that a started process does: Ctrl-C is its parent's to pass on, whose end is its own too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


@contextmanager
def _passed_on(processes: list[Any]) -> Iterator[None]:
    """Within it, Ctrl-C and SIGTERM go to the processes, and end this one only when they have ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hand_on(*_: Any) -> None:
        for process in processes:
            if process.is_alive():
                os.kill(process.pid, signal.SIGTERM)

    before = {kind: signal.signal(kind, hand_on) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
