"""Several processes that learn together: started here, or by torchrun; and what each needs to know of the others."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any

import torch
from torch import distributed

from headgate.training.fit import PATIENCE, Sitting, Stopped, fit


class LearnerDied(ChildProcessError):
    """A process that learned with others ended without an answer: killed, or out of memory."""


def outside() -> tuple[int, int] | None:
    """This process's rank and how many there are, if torchrun (or the like) started it; else None."""
    if "LOCAL_RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return None
    return int(os.environ.get("RANK", os.environ["LOCAL_RANK"])), int(os.environ["WORLD_SIZE"])


def join() -> None:
    """Meet the other processes, if that has not been done."""
    if not distributed.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        distributed.init_process_group(backend, timeout=PATIENCE)


def first_does(work: Callable[[], Any]) -> Any:
    """What the first process's work gave, on every process; what it raised is raised on all."""
    join()
    found: list[Any] = [None, None]
    if distributed.get_rank() == 0:
        try:
            found[0] = work()
        except Exception as error:
            found[1] = error
    distributed.broadcast_object_list(found, src=0)
    if found[1] is not None:
        raise found[1]
    return found[0]


def fit_together(sitting: Sitting) -> None:
    """`fit` on several processes of this machine, and wait for them.

    Raises:
        As `fit`; LearnerDied: one was killed.
    """
    context, world = multiprocessing.get_context("spawn"), sitting.devices
    port, pool = _free_port(), []
    threads = max(1, torch.get_num_threads() // world)
    for rank in range(world):
        ours, theirs = context.Pipe()
        process = context.Process(target=_learn, args=(theirs, sitting, rank, world, port, threads))
        process.start()
        theirs.close()
        pool.append((process, ours))
    try:
        with _passed_on([process for process, _ in pool]):
            answers = _answers(pool)
    finally:
        for process, pipe in pool:
            pipe.close()
            if process.is_alive():
                process.terminate()
            process.join()
    for kind, content in answers:
        if kind == "raised":
            raise content


def alone(work: Callable[..., Any], *arguments: Any) -> tuple[Any, int]:
    """A function's value, from a process of its own, and the most memory that it took, in bytes.

    Raises:
        What the function raises; LearnerDied: the process was killed.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, torch.get_num_threads(), work, arguments))
    process.start()
    theirs.close()
    pool = [(process, ours)]
    try:
        with _passed_on([process]):
            ((kind, content),) = _answers(pool)
    finally:
        ours.close()
        if process.is_alive():
            process.terminate()
        process.join()
    if kind == "raised":
        raise content
    return content


def _work(pipe: Connection, threads: int, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    try:
        value = work(*arguments)
        # Linux counts in KiB, macOS in bytes.
        unit = 1 if sys.platform == "darwin" else 1024
        answer: tuple[str, Any] = ("done", (value, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit))
    except (Stopped, ValueError, TypeError, KeyError, OSError, ArithmeticError) as error:
        answer = ("raised", error)
    pipe.send(answer)


def _answers(pool: list[tuple[Any, Connection]]) -> list[tuple[str, Any]]:
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


def _learn(pipe: Connection, sitting: Sitting, rank: int, world: int, port: int, threads: int) -> None:
    """A process's life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent passes it on, once
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(world), "NODE_RANK": "0"}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(world)}
    try:
        join()
        fit(sitting, rank, world)
        answer: tuple[str, Any] = ("done", None)
    except (Stopped, ValueError, TypeError, KeyError, OSError, ArithmeticError) as error:
        answer = ("raised", error)
    pipe.send(answer)
    distributed.destroy_process_group()


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


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
