"""A user's own cell, compiled once by the system's compiler and kept.

The folder is `cache.folder()`. A library's name is a digest of all that it is made from, so it is never stale; a lock
keeps two processes from doing the work twice, and a library appears there whole or not at all.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
import warnings
from functools import cache
from pathlib import Path

from headgate.cells import Cell
from headgate.engines.cpu import library
from headgate.engines.cpu.cache import folder, locked
from headgate.graph.cpp import cpp

COMMON = ["-std=c++17", "-O3", "-fPIC", "-shared"]
NAME = "own"


@cache
def compiler() -> str | None:
    """The system's C++ compiler: $CXX, or what it is usually called."""
    names = [os.environ.get("CXX"), "c++", "g++", "clang++"]
    return next((found for name in names if name and (found := shutil.which(name))), None)


@cache
def _headers() -> Path:
    return next(found for place in library.places() if (found := Path(place) / "include").is_dir())


def flags(isa: str, headers: Path | None = None) -> list[str]:
    """The compiler's options for passes in an instruction set, as the library was compiled with."""
    lines = ((headers or _headers()) / "instructions.txt").read_text().splitlines()
    options = {words[0]: words[1:] for words in map(str.split, lines)}
    return options["all"] + options["passes"] + options[isa]


@cache
def say_once(reason: str) -> None:
    """Tell the user, the first time."""
    warnings.warn(reason, UserWarning, stacklevel=2)


@cache
def compiled(cell: Cell, *, brief: bool = False) -> ctypes.CDLL:
    """The library of a cell's passes, for the instruction set that runs here.

    Args:
        cell: which.
        brief: with functions to four digits, as `printed.point_of` says.

    Raises:
        RuntimeError: there is no compiler, or it failed; the message ends with what it said.
    """
    isa = library.instructions()
    text, options = cpp(cell, NAME), [*flags(isa), f"-DHG_ISA={isa}", *(["-DHG_BRIEF"] if brief else [])]
    digest = hashlib.sha256()
    for part in (text, *COMMON, *options, compiler() or ""):
        digest.update(part.encode() + b"\0")
    for header in sorted(_headers().glob("*.h")):
        digest.update(header.read_bytes())
    path = folder() / f"{digest.hexdigest()[:32]}.so"
    if not path.exists():
        _build(cell, text, options, path)
    return ctypes.CDLL(str(path))


def _build(cell: Cell, text: str, options: list[str], path: Path) -> None:
    if compiler() is None:
        raise RuntimeError(
            f"{cell.name} cannot be compiled: there is no C++ compiler; install one or use engine='eager'."
        )
    try:
        with locked(path):
            if not path.exists():
                _compile(cell, text, options, path)
    except OSError as reason:
        raise RuntimeError(
            f"{cell.name} cannot be compiled: {path.parent} cannot be written ({reason.strerror}); set XDG_CACHE_HOME "
            "to a folder that can, or use engine='eager'."
        ) from None


def _compile(cell: Cell, text: str, options: list[str], path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        source, made = Path(scratch) / "cell.cpp", Path(scratch) / "cell.so"
        source.write_text(text)
        command = [compiler(), *COMMON, *options, f"-I{_headers()}", str(source)]
        done = subprocess.run([*command, "-o", str(made)], capture_output=True, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            reason = next((line for line in said if "error" in line), said[0])  # others say where it was included from
            raise RuntimeError(
                f"{cell.name} could not be compiled by {compiler()}; use engine='eager'. It said: {reason}"
            )
        os.replace(made, path)
