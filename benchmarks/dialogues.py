"""Which service an utterance is about, beside logistic regression: `python -m benchmarks.dialogues`, from the root.

Schema-guided dialogues: the services of the three official splits are disjoint (zero-shot is what they are for), so a
classifier of services can only be judged within one. The dialogues of the training split are divided here, a whole
dialogue at a time: of every ten the ninth is for validation and the tenth for test. The bag of words is scikit-learn's
logistic regression over counts of words, or of words and pairs, whichever is better on the validation rows.
Each seed's row goes to `benchmarks/results/dialogues.jsonl`.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score

import headgate as hg
from benchmarks.problem import ROOT
from headgate.data import Example
from headgate.tasks import bench

DATA = ROOT.parent / "shared" / "data" / "sgd_dialogue" / "train"
RESULTS = ROOT / "benchmarks" / "results" / "dialogues.jsonl"
SEEDS = (0, 1, 2)
# What the data force: utterances are turns of a dialogue, which names its one service.
SETTINGS = {"records": "turns", "text_column": "utterance", "label_column": "services.0"}
PARTS = {"train": range(8), "validation": (8,), "test": (9,)}


def divide(dialogues: Iterable[dict[str, Any]], folder: Path) -> None:
    """Write a file of dialogues, one a line, for each part."""
    files = {k: (folder / f"{part}.jsonl").open("a") for part, places in PARTS.items() for k in places}
    for k, dialogue in enumerate(dialogues):
        files[k % 10].write(json.dumps(dialogue) + "\n")
    for file in files.values():
        file.close()


def dialogues(folder: Path = DATA) -> Iterator[dict[str, Any]]:
    """All of a folder, in the order of its files."""
    paths = sorted(folder.glob("dialogues_*.json.gz"))
    return chain.from_iterable(json.loads(gzip.decompress(path.read_bytes())) for path in paths)


def bag_of_words(folder: Path) -> dict[str, float]:
    """Scores on the test rows of the model that is best on the validation rows."""
    task = bench.get("classify")
    rows = {part: list(task.read([folder / f"{part}.jsonl"], task.Options(**SETTINGS))) for part in PARTS}
    fitted = [_fitted(rows["train"], pairs) for pairs in (False, True)]
    best = max(fitted, key=lambda model: _scores(model, rows["validation"])["macro_f1"])
    return _scores(best, rows["test"])


def _fitted(rows: list[Example], pairs: bool) -> tuple[CountVectorizer, LogisticRegression]:
    counts = CountVectorizer(ngram_range=(1, 2) if pairs else (1, 1))
    features = counts.fit_transform([row.input for row in rows])
    return counts, LogisticRegression(max_iter=1000).fit(features, [row.target for row in rows])


def _scores(model: tuple[CountVectorizer, LogisticRegression], rows: list[Example]) -> dict[str, float]:
    counts, regression = model
    said = regression.predict(counts.transform([row.input for row in rows]))
    right = [row.target for row in rows]
    return {"macro_f1": f1_score(right, said, average="macro"), "accuracy": accuracy_score(right, said)}


def main() -> int:
    """Train once a seed, with the defaults, and print a line for each."""
    if not DATA.is_dir():
        print(f"left out, since {DATA} is not there", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        divide(dialogues(), folder / "data")
        beside = bag_of_words(folder / "data")
        for seed in SEEDS:
            begun = time.perf_counter()
            made = hg.train(folder / "data", "classify", out=folder / str(seed), seed=seed, watch=False, **SETTINGS)
            judged = made.results["test"]
            row = {"seed": seed, "version": hg.__version__, "threads": torch.get_num_threads()}
            row |= {"seconds": round(time.perf_counter() - begun, 1), "epochs": len(made.history)}
            row |= {"metrics": judged["metrics"], "baseline": judged["baseline"], "bag_of_words": beside}
            print(json.dumps(row))
            with RESULTS.open("a") as file:
                file.write(json.dumps(row) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
