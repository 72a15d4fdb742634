"""Encoded rows, made once and kept by the content of what they were made from."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from headgate.data.example import DataError
from headgate.data.store import SCHEMA, Row, Store
from headgate.engines.cpu.cache import folder, locked

ROWS, ENCODING = "rows", "encoding.json"
_AT_ONCE = 1 << 20


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
            if not (place / ENCODING).is_file():
                _make(place, make)
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
