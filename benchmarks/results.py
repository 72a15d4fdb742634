"""Rows that were measured, kept as JSON lines: written one by one, read again by the next run, never changed."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from benchmarks.problem import ROOT

Row = dict[str, Any]
FILE = "rows.jsonl"
# What a figure depends on. A row measured with other code is not shown beside new ones.
CODE = (
    *("csrc/*.*", "csrc/cells/*.*", "csrc/include/*.*"),
    *("src/headgate/cells/*.py", "src/headgate/graph/*.py", "src/headgate/engines/**/*.py"),
    *("src/headgate/nn/*.py", "benchmarks/peers/*.py"),
    *(f"benchmarks/{name}.py" for name in ("workloads", "problem", "torch_runs", "onnx_model")),
    *(f"benchmarks/{name}.py" for name in ("row", "seat", "measuring", "limits")),
)


def circumstances(threads: int, quick: bool) -> Row:
    """What all rows of a run have in common."""
    return {
        "threads": threads,
        "quick": quick,
        "code": fingerprint(),
        "machine": machine(),
        "torch": torch.__version__,
    }


def fingerprint(root: Path = ROOT) -> str:
    """A short name for the code that figures depend on."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in CODE for path in root.glob(pattern) if path.is_file()}):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def machine() -> str:
    """The processor and its cores, in words."""
    name = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        models = [line for line in information.read_text().splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    return f"{name}, {cores()} cores, {platform.system()}"


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Kept:
    """The rows in a folder.

    Args:
        folder: made if need be.
        current: what rows of this run have in common; rows with anything else there are left alone and not shown.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, folder: Path, current: Row) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).touch()
        self.folder, self.path, self.current = folder, folder / FILE, current
        self._rows: dict[tuple[str, str], Row] = {}
        for row in _read(self.path):
            if all(row.get(name) == value for name, value in current.items()):
                self._rows[row["workload"], row["peer"]] = row

    def done(self, workload: str, peer: str, version: str) -> bool:
        """Whether this was measured, or refused; what was skipped or failed is tried anew."""
        row = self._rows.get((workload, peer))
        return row is not None and row["version"] == version and row["status"] in ("timed", "refused")

    def add(self, row: Row) -> None:
        """Keep a row, on disk before this returns."""
        row = {**row, **self.current}
        # A kill may have cut the last line short.
        cut_short = self.path.read_bytes()[-1:] not in (b"", b"\n")
        with self.path.open("a", encoding="utf-8") as file:
            file.write(("\n" if cut_short else "") + json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._rows[row["workload"], row["peer"]] = row

    def forget(self, workload: str, peer: str) -> None:
        """Pass over what was measured, so that it is measured again; the file keeps it until then."""
        self._rows.pop((workload, peer), None)

    def row(self, workload: str, peer: str) -> Row:
        """A row that is there."""
        return self._rows[workload, peer]

    def rows(self, order: Iterable[str]) -> list[Row]:
        """All rows of this run's circumstances, by workload in this order."""
        places = {name: k for k, name in enumerate(order)}
        known = [row for row in self._rows.values() if row["workload"] in places]
        return sorted(known, key=lambda row: places[row["workload"]])


def _read(path: Path) -> list[Row]:
    """The file's rows; a line that a kill cut short is passed over."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found
