"""The folder a run leaves: results.json, records/<task>/<cell>/<seed>-<moment>/ with the measurements, and the trained
models in models/<task>/<cell>/<seed>/."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headgate.inspection.record import Record
from headgate.training.model_folder import ModelFolder

SCHEMA = 1
RESULTS, RECORDS, MODELS = "results.json", "records", "models"
MOMENTS = ("default", "before", "after")


@dataclass(frozen=True)
class RunFolder:
    """What a folder holds.

    Attributes:
        results: facts about the run, its tasks, cells and trials; JSON types only. `results["trials"][k]["record"]`
            is the path of a trial's records below `records`, without the moment.
        records: by that path and the moment, as in ("adding/lstm/0", "after").
        models: by that path; not read back with the rest.
    """

    results: dict[str, Any]
    records: Mapping[tuple[str, str], Record]
    models: Mapping[str, ModelFolder] = field(default_factory=dict)

    def save(self, folder: str | Path) -> Path:
        """Write everything below a folder, made if it is not there."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for (path, moment), record in self.records.items():
            record.save(folder / RECORDS / f"{path}-{moment}")
        for path, model in self.models.items():
            model.save(folder / MODELS / path)
        text = json.dumps({"schema": SCHEMA, **self.results}, indent=1, sort_keys=True)
        (folder / RESULTS).write_text(text + "\n", encoding="utf-8")
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> RunFolder:
        """Read a folder back.

        Raises:
            ValueError: it holds no results, or some of another schema, or a record is missing.
        """
        folder = Path(folder)
        path = folder / RESULTS
        if not path.is_file():
            raise ValueError(f"{folder} holds no {RESULTS}; give a folder that `headgate demo` wrote.")
        results = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(results, dict) or results.pop("schema", None) != SCHEMA:
            raise ValueError(f"{path} was not written by this version of headgate; run `headgate demo` again.")
        records = {
            (trial["record"], moment): Record.load(folder / RECORDS / f"{trial['record']}-{moment}")
            for trial in results["trials"]
            for moment in MOMENTS
        }
        return cls(results, records)
