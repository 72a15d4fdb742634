"""What the defaults reach on real data: `python -m benchmarks.real_data [NAME ...]`, from the root of the source.

Each line of PLANS is one command's worth of training, by `headgate.train` as a user calls it, without a setting that
the data do not force. Seeds 0, 1 and 2 where a run has 15 minutes or less, else seed 0. The best epoch is chosen on
validation rows; test rows are looked at once, at the end. Rows are kept in `benchmarks/results/real_data.jsonl`; a run
that is there for the same version and settings is not repeated. `--table` prints the table anew.

What service an utterance is about (sgd_dialogue) has a command of its own, `python -m benchmarks.dialogues`, since its
official parts share no service and logistic regression stands beside it.

The data are read from the folder `shared/data` beside the project; what is not there is left out, with a word.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

import headgate as hg
from benchmarks.problem import ROOT

DATA = ROOT.parent / "shared" / "data"
RESULTS = ROOT / "benchmarks" / "results"
ROWS, TABLE = RESULTS / "real_data.jsonl", RESULTS / "real_data.md"
# Runs that have more minutes than this are made once.
SEVERAL_UP_TO = 15


@dataclass(frozen=True)
class Plan:
    """A data set and what is asked of it.

    Attributes:
        name: of the row.
        data: below the folder of data.
        task: a task's name.
        metric: what is reported.
        goal: what it is to reach, and `higher` whether from below.
        minutes: in which it is to be reached, on two cores.
        settings: that the data force.
        test: a file of its own to judge by, below the folder of data.
        published: figures of others, in words.
    """

    name: str
    data: str
    task: str
    metric: str
    goal: float | None
    minutes: int
    higher: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)
    test: str | None = None
    published: str = ""

    @property
    def seeds(self) -> tuple[int, ...]:
        return (0, 1, 2) if self.minutes <= SEVERAL_UP_TO else (0,)


PLANS = (
    Plan("JapaneseVowels", "uea/JapaneseVowels", "classify", "accuracy", 0.95, 5, published="MLSTM-FCN 0.976"),
    Plan("BasicMotions", "uea/BasicMotions", "classify", "accuracy", 0.90, 5, published="MLSTM-FCN 0.95"),
    Plan("PLAID", "uea/PLAID", "classify", "accuracy", 0.60, 5),
    Plan("ETTh1", "ett/ETTh1.csv.gz", "forecast", "standardised_mse", 0.65, 10, False, {"split": "8640/2880/2880"},
         published="LSTMa 0.650 (Informer 2021)"),
    Plan("wnut17", "wnut17", "tag", "f1", 0.15, 15, published="SpinningBytes BiLSTM 0.408, with vectors and more"),
    Plan("tinyshakespeare", "tinyshakespeare/input.txt.gz", "language", "nats", 1.55, 15, False),
    Plan("mnist", "mnist", "classify", "accuracy", 0.985, 15, test="mnist/t10k-images-idx3-ubyte.gz",
         published="by pixel: LSTM 0.989 (Cooijmans 2016)"),
    Plan("multi30k", "multi30k", "translate", "bleu", 25, 60, settings={"source": "de", "target": "en"},
         test="multi30k/test_2016_flickr.de.gz"),
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what runs are missing, and write the table."""
    parser = argparse.ArgumentParser("benchmarks.real_data", description=__doc__.partition("\n\n")[0])
    parser.add_argument("names", nargs="*", default=["*"], help="which data sets, as patterns")
    parser.add_argument("--seed", type=int, action="append", help="only this one; repeatable")
    parser.add_argument("--table", action="store_true", help="write the table from what is kept")
    asked = parser.parse_args(arguments)
    wanted = [] if asked.table else [p for p in PLANS if any(fnmatchcase(p.name, name) for name in asked.names)]
    for plan in wanted:
        if not (DATA / plan.data).exists():
            print(f"{plan.name}: left out, since {DATA / plan.data} is not there", file=sys.stderr)
            continue
        for seed in asked.seed or plan.seeds:
            if not any(_same(row, plan, seed) for row in kept()):
                keep(run(plan, seed))
    TABLE.write_text(table(kept()))
    print(TABLE.read_text())
    return 0


def kept() -> list[dict[str, Any]]:
    """All rows."""
    return [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.is_file() else []


def keep(row: Mapping[str, Any]) -> None:
    """Put a row in its place, among what other processes have kept meanwhile."""
    print(json.dumps(row), flush=True)
    others = [known for known in kept() if (known["name"], known["seed"]) != (row["name"], row["seed"])]
    ROWS.write_text("".join(json.dumps(known) + "\n" for known in [*others, row]))


def run(plan: Plan, seed: int) -> dict[str, Any]:
    """Train once, and judge once."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        made = hg.train(
            DATA / plan.data, plan.task, out=Path(folder) / "run", seed=seed, watch=False, say=print, **plan.settings
        )
        seconds = time.perf_counter() - begun
        judged = made.results["test"] if plan.test is None else hg.evaluate(made, DATA / plan.test)
        return {
            "name": plan.name,
            "seed": seed,
            "version": hg.__version__,
            "settings": dict(plan.settings),
            "threads": torch.get_num_threads(),
            "seconds": round(seconds, 1),
            "epochs": len(made.history),
            "metrics": judged["metrics"],
            "baseline": judged["baseline"],
            "baseline_words": judged["baseline_words"],
        }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The kept rows, one line a data set, with goal and baseline."""
    lines = [
        "| data | task | metric | reached | seeds | baseline | goal | minutes | goal | published |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for plan in PLANS:
        own = [row for row in rows if row["name"] == plan.name]
        if own:
            values = [row["metrics"][plan.metric] for row in own]
            spread = f" ± {stdev(values):.3g}" if len(values) > 1 else ""
            beside = own[0]["baseline"].get(plan.metric)
            trivial = "-" if beside is None else f"{beside:.4g}"
            goal = "-" if plan.goal is None else f"{'at least' if plan.higher else 'below'} {plan.goal:g}"
            took = mean(row["seconds"] for row in own) / 60
            lines.append(
                f"| {plan.name} | {plan.task} | {plan.metric} | {mean(values):.4g}{spread} | {len(own)} | {trivial} | "
                f"{goal} | {took:.1f} | {plan.minutes} | {plan.published or '-'} |"
            )
    return "\n".join(lines) + "\n"


def _same(row: Mapping[str, Any], plan: Plan, seed: int) -> bool:
    kept = row["name"], row["seed"], row["version"], row["settings"]
    return kept == (plan.name, seed, hg.__version__, dict(plan.settings))


if __name__ == "__main__":
    sys.exit(main())
