"""How often the watch's verdicts are wrong: `python -m benchmarks.calibration`, from the root of the source.

72 short runs (adding, copy, temporal order; RNN, GRU, LSTM with and without peepholes; three starts of the weights;
seeds 11 and 12), each trained for 900 steps under a `Monitor`, examined after 600, and judged by what became of it; and
12 untrained networks on sequences of 400 steps. Rows are kept in `benchmarks/results/calibration.jsonl`, and a run that
is there for the same code is not repeated. No threshold was chosen by these runs, and what counts as right was fixed
before the first of them, but for what follows. Three things were added after thirty: peephole LSTMs, RNNs that start
steep, since nothing had exploded, and CONSTANT in training, since it had been said early and not again. After all of
them the rules of VANISHING, EXPLODING and REMEMBERS were mended, each by its own reason and none by a number, and what
REMEMBERS is held against with it: it had said what a memory could do, and now says what it does. DECORATIVE came then.

Learnt: the loss is below 0.4 of chance, on held-out sequences or, in training, as the median of 20 steps. (Knowing the
later of two clues alone gives exactly half of chance, in the adding problem and in temporal order alike.) From here on,
"within a fifth" means within a fifth of all steps, 180, after the word was said.

    VANISHING, in training      right if the run has not learnt within a fifth; unsaid, it is missed if the run never
                                learnt. A run can fail for another reason, so what is missed is an upper bound.
    VANISHING, examined         right if the run has not learnt at the end, 300 steps later
    EXPLODING, in training      right if, within a fifth, training blew up: a loss or gradient that is no number, a loss
                                above twice chance (after the first tenth of training), or a gradient that was clipped
                                in more than half of the steps; unsaid, it is missed if one of these holds of all steps
    EXPLODING, examined         right if that holds of the 300 steps that follow
    SHORT MEMORY BY DESIGN      wrong if the network had learnt when it was examined: then it does remember
    REMEMBERS                   right if, on 512 other sequences, a memory of one step less than the task needs, at the
                                first step that is read, costs more than a hundredth of what was learnt (of the loss,
                                where nothing was), 95 % interval; layers without a highway are left out. How many of
                                those runs had learnt at the end, which is more than it says, stands below the table.
    CONSTANT, in training       right if the same is said of the gate when it is examined; each gate is one case
    CONSTANT, examined          right if the same rule says so on 64 other sequences; each gate is one case
    DECORATIVE                  right if, on 512 other sequences, neither the gate's mean nor another row's gate costs
                                loss; each gate of a network that is better than chance is one case
    INTEGRATOR                  right if holding the unit costs loss on 512 other sequences, 95 % interval above 0;
                                each unit with a constant gate is one case
    DEAD                        right if it does not; beside it, how many cost more than a hundredth
    GRADIENT DEAD               right if float32 autograd itself leaves no normal number at the lag that is named; it
                                is missed if it is not said and none is left at the longest lag

TBPTT-BLIND and DTYPE-CAPPED compare what the user stated; no run here truncates or has gates in half precision.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from fnmatch import fnmatchcase
from multiprocessing import get_context
from pathlib import Path

import torch

from benchmarks import calibration_runs
from benchmarks.calibration_runs import Plan, Row, fingerprint, plans
from benchmarks.calibration_table import report, with_report
from benchmarks.problem import ROOT

RESULTS, PAGE = ROOT / "benchmarks/results", ROOT / "docs/watch.md"
ROWS, TABLE = "calibration.jsonl", "calibration.md"
WHO = "benchmarks.calibration"


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what runs are missing, and write the table.

    Returns:
        0 done; 2 refused; 130 interrupted.
    """
    options = _options(arguments)
    chosen = [plan for plan in plans() if any(fnmatchcase(plan.key, pattern) for pattern in options.only or ["*"])]
    if not chosen or options.workers < 1:
        what = f"--workers {options.workers}; give 1 or more" if chosen else "--only names no run; see --list"
        print(f"{WHO}: {what}.", file=sys.stderr)
        return 2
    if options.list:
        print("\n".join(plan.key for plan in chosen))
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    path, code = options.out / ROWS, fingerprint()
    try:
        missing = [] if options.table else [plan for plan in chosen if plan.key not in kept(path, code)]
        for done, row in enumerate(_done(missing, options.workers), 1):
            keep(path, {**row, "code": code, "torch": torch.__version__})
            print(f"{done}/{len(missing)} {row['key']}", flush=True)
    except KeyboardInterrupt:
        print(f"\n{WHO}: stopped; what was done is in {path}, and the same command goes on.", file=sys.stderr)
        return 130
    shown = shown_code(path, code)
    if shown is None:
        print(f"{WHO}: {path} holds no run; leave --table out to make them.", file=sys.stderr)
        return 2
    text = report(list(kept(path, shown).values()), plans())
    if shown != code:
        text += f"\n\nThese runs are of earlier code ({shown}; now {code}): `python -m {WHO}` repeats them."
    (options.out / TABLE).write_text(f"# How often the watch is wrong\n\n{text}\n", encoding="utf-8")
    print(f"\n{text}")
    if options.out == RESULTS:
        print(f"\n{publish(text, PAGE)}")
    return 0


def kept(path: Path, code: str) -> dict[str, Row]:
    """The rows of this code, by key, the last of each."""
    return {row["key"]: row for row in _read(path) if row["code"] == code}


def shown_code(path: Path, code: str) -> str | None:
    """Of which code the table is: this one, or else that of the last row that is kept."""
    rows = list(_read(path))
    return code if any(row["code"] == code for row in rows) else rows[-1]["code"] if rows else None


def keep(path: Path, row: Row) -> None:
    """Append a row, on disk before this returns."""
    cut_short = path.is_file() and path.read_bytes()[-1:] not in (b"", b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if cut_short else "") + json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())


def publish(text: str, page: Path) -> str:
    """Write the page's part between its markers, if they are there; what was done, in a sentence."""
    try:
        page.write_text(with_report(page.read_text(encoding="utf-8"), text), encoding="utf-8")
    except (FileNotFoundError, ValueError) as reason:
        return f"{page.name} stays as it is: {reason}"
    return f"{page.name} shows it."


def _read(path: Path) -> Iterator[Row]:
    """The rows in their order; a line that a kill cut short is passed over."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


def _done(missing: Iterable[Plan], workers: int) -> Iterator[Row]:
    """Rows as they are finished: in this process, or in some of one thread each."""
    if workers == 1:
        _one_thread()
        yield from map(calibration_runs.run, missing)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), _one_thread) as pool:
        yield from pool.map(calibration_runs.run, missing)


def _one_thread() -> None:
    torch.set_num_threads(1)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m {WHO}", allow_abbrev=False)
    parser.add_argument("--workers", type=int, default=1, help="processes of one thread")
    parser.add_argument("--only", action="append", metavar="PATTERN", help="runs by name, as 'adding/*'; see --list")
    parser.add_argument("--table", action="store_true", help="run nothing, write the table of what is kept")
    parser.add_argument("--list", action="store_true", help="name the runs")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the rows and the table")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
