"""The compiled library: finding it, and the instruction set that runs here."""

from __future__ import annotations

import ctypes
import warnings
from ctypes import c_int64, c_void_p
from functools import cache
from pathlib import Path

import torch

INTERFACE = 12
BLOCK = 16  # HG_BLOCK: units are padded to a multiple of it
TILE_DEPTH = 32  # of csrc/include/product_tiles.h: what a product sums over is padded to a multiple of it
INSTRUCTIONS = ("portable", "avx2", "avx512")
NUMBER = {torch.float32: "f32", torch.float64: "f64"}
PRODUCT_NUMBER = {**NUMBER, torch.bfloat16: "bf16"}  # of which products are made
BY_TILES = ("hg_run", "hg_sum")  # what makes products of float32 of pieces of their numbers, where there are tiles
_, TILES_RIGHT, TILES_WRONG = range(3)  # what hg_tiles answers


@cache
def library() -> ctypes.CDLL | None:
    """The compiled library, with torch's own threads lent to it; None where it was not built."""
    found = [path for place in places() for path in Path(place).glob("libheadgate.*")]
    if not found:
        return None
    loaded = ctypes.CDLL(str(found[0]))
    if loaded.hg_interface() != INTERFACE:
        raise ImportError(
            f"{found[0]} was built for another version of headgate; install headgate again to build it anew."
        )
    loaded.hg_unchanged.argtypes = [c_void_p, c_int64, c_int64]
    loaded.hg_run_stack.argtypes = [c_void_p, c_void_p]
    loaded.hg_play.argtypes = [c_void_p, c_void_p]
    loaded.hg_play.restype = None
    loaded.hg_large_pages.argtypes = [c_void_p, c_int64]
    loaded.hg_large_pages.restype = None
    _lend_threads(loaded)
    return loaded


def places() -> list[str]:
    """The folders of this package."""
    # An editable install keeps what was compiled apart from the sources; the package's path then has both.
    package = __import__(__package__, fromlist=["__path__"])
    return [str(place) for place in package.__path__]


def _lend_threads(loaded: ctypes.CDLL) -> None:
    """torch's OpenMP runtime, if its entry points are the known ones; the library makes its own threads otherwise."""
    everything = ctypes.CDLL(None)
    try:
        entries = [everything.GOMP_parallel, everything.omp_get_thread_num, everything.omp_get_num_threads]
    except AttributeError:
        return
    loaded.hg_lend_threads(*(ctypes.cast(entry, c_void_p) for entry in entries))


@cache
def instructions() -> str:
    """The widest instruction set that was compiled and that this processor has."""
    return INSTRUCTIONS[library().hg_instructions()]


@cache
def tiles() -> str | None:
    """By what products are made of bfloat16, "amx"; None where all are made of the numbers as they are."""
    found = library().hg_tiles()
    if found == TILES_WRONG:
        warnings.warn(
            "headgate: this processor's AMX tiles do not compute what Intel's manual says, so products are made "
            "without them; please report it with the processor's name.",
            stacklevel=2,
        )
    return "amx" if found == TILES_RIGHT else None


def is_brief(products: torch.dtype) -> bool:
    """Whether passes beside products of a dtype make their functions to four digits, of which bfloat16 has three."""
    return products is torch.bfloat16 and tiles() == "amx"


def in_pieces(products: torch.dtype) -> bool:
    """Whether products of a dtype are made of three pieces of each number by tiles: sooner, and no less exact."""
    return products is torch.float32 and tiles() is not None


@cache
def entry(name: str, dtype: torch.dtype, isa: str | None = None) -> ctypes._CFuncPtr:
    """A function of the library for a number type of the products, as "hg_run"."""
    by_tiles = dtype is torch.bfloat16 or (name in BY_TILES and in_pieces(dtype))
    isa = isa or (tiles() if by_tiles else instructions())
    return _taking_one(f"{name}_{isa}_{PRODUCT_NUMBER[dtype]}")


def checksum() -> ctypes._CFuncPtr:
    """What finds the sum of a `Stretch`."""
    return _taking_one(f"hg_checksum_{instructions()}_u64")


def _taking_one(name: str) -> ctypes._CFuncPtr:
    function = getattr(library(), name)
    function.restype = None
    function.argtypes = [c_void_p]
    return function
