"""A contender where it sits: in a process of its own, which is told when it is its turn.

Two in one process share its memory and its threads. Then torch is measured with a heap that ours keeps from shrinking,
where by itself it has thousands of pages cleared in every training call; and who spins takes from who computes.
"""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from benchmarks.measuring import Plan, pause, results, seconds_a_call
from benchmarks.peers import Contender


class Failed(Exception):
    """What a contender raised, in words."""


class Ended(Exception):
    """A contender's process is no more."""


class Seat:
    """A contender and what is asked of it.

    Args:
        contender: who.
        plan: how long its turns last.
    """

    def __init__(self, contender: Contender, plan: Plan) -> None:
        self._contender, self._plan = contender, plan

    def engine(self) -> str:
        """What runs, in a word."""
        return self._contender.engine

    def results(self) -> dict[str, np.ndarray]:
        """As `measuring.results`."""
        return results(self._contender)

    def turn(self, settle: bool) -> float:
        """Seconds a call, the median of a turn's; afterwards no thread of the process runs.

        Args:
            settle: begin with a call that is not timed.
        """
        seconds = seconds_a_call(self._contender.run, self._plan.turn_s, settle)
        pause(self._plan)
        return seconds


class Far:
    """A `Seat` in another process.

    Args:
        pipe: whose other end `serve` was given.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def engine(self) -> str:
        """As the seat's."""
        return self._ask("engine")

    def results(self) -> dict[str, np.ndarray]:
        """As the seat's."""
        return self._ask("results")

    def turn(self, settle: bool) -> float:
        """As the seat's."""
        return self._ask("turn", settle)

    def _ask(self, what: str, *given: Any) -> Any:
        """What the seat answers.

        Raises:
            Failed: an error.
            Ended: nothing, for its process has ended.
        """
        try:
            self._pipe.send((what, given))
            answered, found = self._pipe.recv()
        except (EOFError, OSError):
            raise Ended from None
        if not answered:
            raise Failed(found)
        return found


def serve(make: Callable[[], Seat], pipe: Connection) -> None:
    """Answer a `Far` until it goes."""
    seat = None
    while True:
        try:
            what, given = pipe.recv()
        except EOFError:
            return
        try:
            seat = seat or make()
            answer = True, getattr(seat, what)(*given)
        except Exception as error:
            # A peer may raise anything at all; the other rows go on.
            answer = False, in_words(error)
        pipe.send(answer)


def in_words(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
