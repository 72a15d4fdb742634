"""Several processes that learn together: started here, or by torchrun; and what each needs to know of the others."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import distributed

from headgate.training.children import RAISED, begin, finished
from headgate.training.fit import PATIENCE, Sitting, fit


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
    world, port = sitting.devices, _free_port()
    threads = max(1, torch.get_num_threads() // world)
    for kind, content in finished(_learn, [(sitting, rank, world, port, threads) for rank in range(world)]):
        if kind == "raised":
            raise content


def _learn(pipe: Connection, sitting: Sitting, rank: int, world: int, port: int, threads: int) -> None:
    """A process's life."""
    begin(threads)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(world), "NODE_RANK": "0"}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(world)}
    try:
        join()
        fit(sitting, rank, world)
        answer: tuple[str, Any] = ("done", None)
    except RAISED as error:
        answer = ("raised", error)
    pipe.send(answer)
    distributed.destroy_process_group()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
