"""Encoded rows, made once and kept by the content of what they were made from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from headgate.data.example import DataError
from headgate.data.store import SCHEMA, Row, Store
from headgate.engines.cpu.cache import folder, locked

ROWS, ENCODING = "rows", "encoding.json"
_AT_ONCE = 1 << 20
# Rows that nobody has asked for in so many days are deleted when others are made.
DAYS_KEPT = 30


def digest(path: str | Path) -> str:
    """Of a file's content, as 32 hexadecimal signs.

    Raises:
        DataError: it cannot be read.
    """
    found = hashlib.blake2b(digest_size=16)
    try:
        with Path(path).open("rb") as file:
            while part := file.read(_AT_ONCE):
                found.update(part)
    except OSError as reason:
        raise DataError(f"{path} cannot be read ({reason.strerror or reason}).") from None
    return found.hexdigest()


def key(facts: Any) -> str:
    """A name for whatever is made from these facts, JSON types, alone."""
    text = json.dumps([SCHEMA, facts], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def kept(
    name: str, make: Callable[[], tuple[Mapping[str, Any], Mapping[str, Iterable[Row]]]]
) -> tuple[dict[str, Any], dict[str, Store]]:
    """What was kept under a name, or else is made and kept now, whole or not at all, by one process at a time.

    What nobody has asked for in DAYS_KEPT days is deleted whenever something is made.

    Args:
        name: from `key`.
        make: gives the encoding, JSON types, and the rows of each split, which are gone through once, in their order.

    Returns:
        The encoding, and a store for each split.

    Raises:
        DataError: the folder cannot be written, or the disk is full.
        Exception: whatever `make` raises; nothing is kept then.
    """
    place = folder() / ROWS / name
    try:
        with locked(place):
            if (place / ENCODING).is_file():
                os.utime(place / ENCODING)
            else:
                _make(place, make)
                _forget(place.parent, time.time() - DAYS_KEPT * 24 * 60 * 60)
    except OSError as reason:
        raise DataError(
            f"encoded rows cannot be kept in {place.parent} ({reason.strerror or reason}); set XDG_CACHE_HOME to a "
            "folder with room."
        ) from None
    encoding = json.loads((place / ENCODING).read_text(encoding="utf-8"))
    return encoding["encoding"], {split: Store(place / split) for split in encoding["splits"]}


def _make(place: Path, make: Callable[[], tuple[Mapping[str, Any], Mapping[str, Iterable[Row]]]]) -> None:
    beside = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        encoding, splits = make()
        for split, rows in splits.items():
            Store.write(beside / split, rows)
        text = json.dumps({"encoding": encoding, "splits": list(splits)}, allow_nan=False)
        (beside / ENCODING).write_text(text, encoding="utf-8")
        shutil.rmtree(place, ignore_errors=True)
        beside.replace(place)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _forget(rows: Path, before: float) -> None:
    """Delete what was not used since; whoever has it open keeps what it reads."""
    for file in rows.glob(f"*/{ENCODING}"):
        with suppress(FileNotFoundError):  # another process was quicker
            if file.stat().st_mtime < before:
                with locked(file.parent):
                    if file.stat().st_mtime < before:
                        shutil.rmtree(file.parent, ignore_errors=True)
