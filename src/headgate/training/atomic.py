"""Files that are there whole or not at all, whatever ends the process."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor


def write(path: str | Path, content: Callable[[BinaryIO], Any] | bytes | str) -> Path:
    """Write a file beside its place, make sure that the disk has it, and put it there in one step.

    Args:
        path: where it goes; what is there stays until the new file is whole.
        content: bytes, text for UTF-8, or a function that writes into an open file.

    Raises:
        OSError: the disk is full, or the place cannot be written; the old file, if any, is as it was.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # or the new name may not outlive a power cut
    finally:
        os.close(folder)
    return path


def write_torch(path: str | Path, value: Any) -> Path:
    """Write tensors, numbers, text and containers of them as `torch.load(..., weights_only=True)` reads them.

    Raises:
        OSError: as `write`.
    """

    def content(file: BinaryIO) -> None:
        try:
            torch.save(value, file)
        except RuntimeError as reason:
            # What the disk said is lost in torch's own words for it.
            cause = reason.__context__
            raise cause if isinstance(cause, OSError) else OSError(None, f"it cannot be written: {reason}") from None

    return write(path, content)


def plain(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights as safetensors takes them: on the CPU, each with memory of its own."""
    return {
        name: value.detach().to("cpu", copy=True).contiguous().clone(memory_format=torch.contiguous_format)
        for name, value in weights.items()
    }
