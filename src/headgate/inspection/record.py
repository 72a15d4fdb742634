"""What a measurement leaves behind: arrays and facts in a folder, nothing live."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from headgate.inspection.schema import check

SCHEMA = 2


@dataclass(frozen=True)
class Record:
    """The measurements of one layer in one direction.

    Attributes:
        name: the layer, as in "encoder.lstm.l1_reverse".
        facts: what is said in words and numbers: cell, sizes, equations, horizons. JSON types only.
        arrays: what is drawn, by name; described in `headgate.inspection.schema`.
    """

    name: str
    facts: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def save(self, folder: str | Path) -> Path:
        """Write `record.json` and `arrays.npz` into a folder, made if it is not there.

        Raises:
            ValueError: an array that `headgate.inspection.schema` does not describe, or not so.
        """
        check(self.name, self.arrays)
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"schema": SCHEMA, "name": self.name, "facts": self.facts}, indent=1, sort_keys=True)
        (folder / "record.json").write_text(text + "\n", encoding="utf-8")
        np.savez_compressed(folder / "arrays.npz", **self.arrays)
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Record:
        """Read a record back.

        Raises:
            ValueError: the folder holds none, or one of another schema.
        """
        path = Path(folder) / "record.json"
        for part in (path, path.with_name("arrays.npz")):
            if not part.is_file():
                raise ValueError(f"Record.load: {folder} holds no {part.name}; give a folder that `save` wrote.")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as reason:
            raise ValueError(f"Record.load: {path} is damaged ({reason}); measure again.") from None
        if content.get("schema") != SCHEMA:
            raise ValueError(
                f"Record.load: {path} has schema {content.get('schema')!r}, but this headgate reads {SCHEMA}; "
                "measure again."
            )
        with np.load(path.with_name("arrays.npz"), allow_pickle=False) as stored:
            return cls(content["name"], content["facts"], dict(stored))
