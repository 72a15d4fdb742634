"""Encoded rows on disk, read through memory maps, so that data may be larger than memory."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

ABOUT = "rows.json"
SCHEMA = 1

Row = Mapping[str, np.ndarray]


class Store:
    """Rows of named arrays; the first axis of an array may differ from row to row, the others may not.

    Args:
        folder: that `Store.write` made.

    Raises:
        ValueError: it holds no rows, or some of another schema.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            about = json.loads((self.folder / ABOUT).read_text(encoding="utf-8"))
        except (OSError, ValueError) as reason:
            raise ValueError(f"{folder} holds no encoded rows ({reason}); encode them again.") from None
        if about.get("schema") != SCHEMA:
            raise ValueError(f"{folder} was not written by this version of headgate; encode the rows again.")
        self._count: int = about["rows"]
        self._values: dict[str, np.ndarray] = {}
        self._ends: dict[str, np.ndarray] = {}
        for name, field in about["fields"].items():
            dtype, tail = np.dtype(field["dtype"]), tuple(field["tail"])
            path = self.folder / f"{name}.bin"
            values = np.memmap(path, dtype, "r") if path.stat().st_size else np.empty(0, dtype)
            self._values[name] = values.reshape(-1, *tail)
            if field["ragged"]:
                self._ends[name] = np.load(self.folder / f"{name}.ends.npy", mmap_mode="r")

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, k: int) -> dict[str, np.ndarray]:
        """Row k, a view into the files."""
        if not -self._count <= k < self._count:
            raise IndexError(f"row {k} of {self._count}")
        k %= self._count
        return {name: self._part(name, k) for name in self._values}

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(self._values)

    def lengths(self, field: str) -> np.ndarray:
        """How long a field is in each row, [rows]."""
        return np.diff(self._ends[field], prepend=0)

    def column(self, field: str) -> np.ndarray:
        """A field of every row, one after another: [rows, ...], or [all steps of all rows, ...]."""
        return self._values[field]

    def _part(self, name: str, k: int) -> np.ndarray:
        if name not in self._ends:
            return self._values[name][k]
        ends = self._ends[name]
        return self._values[name][0 if k == 0 else ends[k - 1] : ends[k]]

    @classmethod
    def write(cls, folder: str | Path, rows: Iterable[Row]) -> Store:
        """Write rows one by one; the folder appears when all are there, so an interrupted writer leaves none.

        Raises:
            ValueError: two rows have not the same fields, types or widths.
            OSError: the disk is full, or the place cannot be written.
        """
        folder = Path(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            _Writer(beside).write(rows)
            if folder.exists():
                shutil.rmtree(folder)
            beside.replace(folder)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        return cls(folder)


class _Writer:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fields: dict[str, dict] = {}
        self._files: dict = {}
        self._ends: dict[str, list[int]] = {}

    def write(self, rows: Iterable[Row]) -> None:
        count = 0
        try:
            for row in rows:
                self._add(row, count)
                count += 1
        finally:
            for file in self._files.values():
                file.close()
        for name, ends in self._ends.items():
            np.save(self._folder / f"{name}.ends.npy", np.asarray(ends, np.int64))
        about = {"schema": SCHEMA, "rows": count, "fields": self._fields}
        (self._folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")

    def _add(self, row: Row, k: int) -> None:
        if not self._fields:
            for name, value in row.items():
                ragged = value.ndim > 0
                self._fields[name] = {"dtype": value.dtype.str, "tail": list(value.shape[1:]), "ragged": ragged}
                self._files[name] = (self._folder / f"{name}.bin").open("wb")
                if ragged:
                    self._ends[name] = []
        found = {n: {"dtype": v.dtype.str, "tail": list(v.shape[1:]), "ragged": v.ndim > 0} for n, v in row.items()}
        if found != self._fields:
            raise ValueError(f"row {k} has {found}, but the rows before it have {self._fields}.")
        for name, value in row.items():
            self._files[name].write(np.ascontiguousarray(value).tobytes())
            if name in self._ends:
                self._ends[name].append((self._ends[name] or [0])[-1] + len(value))
