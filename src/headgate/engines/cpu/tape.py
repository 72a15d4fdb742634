"""Work for the library that is written down once and done many times with other addresses."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from headgate.engines.cpu import library, structures

LINE = 64  # bytes; where every value of a region begins


class Spot(NamedTuple):
    """An address: so many bytes on from a base."""

    base: int
    offset: int = 0

    def on(self, more: int) -> Spot:
        """So many bytes further."""
        return Spot(self.base, self.offset + more)


HERE = 0  # the base that is the tape's own block


class Region:
    """Memory that a call brings along: what lies where.

    Args:
        base: which of the call's bases it is.
        width: bytes of a number.
    """

    def __init__(self, base: int, width: int) -> None:
        self.base, self.width, self.numbers = base, width, 0

    def take(self, numbers: int) -> Spot:
        """Room for some numbers."""
        found = Spot(self.base, self.numbers * self.width)
        line = LINE // self.width
        self.numbers += -(-numbers // line) * line
        return found


class Tape:
    """Structures of the library in one block, and what is done with them.

    Args:
        bases: names of the addresses that a call brings, in order.
        width: bytes of a number.

    Attributes:
        scratch: memory for one run, the base of that name.
    """

    def __init__(self, bases: Iterable[str], width: int) -> None:
        self._bases = {name: k for k, name in enumerate(bases, HERE + 1)}
        self.scratch = Region(self._bases["scratch"], width)
        self._block, self._addresses, self._tasks = bytearray(), [], []
        self._alive: list[Any] = []

    def base(self, name: str) -> Spot:
        """An address that a call brings."""
        return Spot(self._bases[name])

    def put(self, record: ctypes.Structure, **addresses: Spot | None) -> Spot:
        """Write a structure down; its addresses by the names of their fields, or None for null."""
        at = len(self._block)
        self._block += bytes(record)
        self._alive.append(record)  # and what it points to
        for name, spot in addresses.items():
            if spot is not None:
                self.point(Spot(HERE, at + getattr(type(record), name).offset), spot)
        return Spot(HERE, at)

    def point(self, place: Spot, to: Spot) -> None:
        """Have an address written to a place in the block."""
        self._addresses.append(structures.Address(place.offset, to.offset, to.base))

    def table(self, addresses: Iterable[Spot | int | None]) -> Spot:
        """Write addresses down, one after the other; a number is one that never changes."""
        at = len(self._block)
        for k, address in enumerate(addresses):
            self._block += struct.pack("P", address if isinstance(address, int) else 0)
            if isinstance(address, Spot):
                self.point(Spot(HERE, at + 8 * k), address)
        return Spot(HERE, at)

    def do(self, function: Any, record: Spot) -> None:
        """Have a function of the library be called with a structure."""
        self._tasks.append(structures.Task(ctypes.cast(function, ctypes.c_void_p), record.offset))

    def close(self) -> Callable[[Iterable[int]], None]:
        """No more is written; what plays it, given the bases in order."""
        block = (ctypes.c_char * len(self._block)).from_buffer(self._block)
        addresses = structures.array_of(structures.Address, len(self._addresses))(*self._addresses)
        tasks = structures.array_of(structures.Task, len(self._tasks))(*self._tasks)
        counts = len(self._addresses), len(self._tasks)
        own = structures.Tape(ctypes.addressof(block), len(self._block), addresses, tasks, *counts)
        alive = [*self._alive, block, own]
        address, pack = ctypes.addressof(own), struct.Struct(f"{1 + len(self._bases)}P").pack
        run = library.library().hg_play

        def play(bases: Iterable[int], _alive=alive) -> None:
            run(address, pack(0, *bases))

        return play

