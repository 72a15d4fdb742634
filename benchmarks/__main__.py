"""`python -m benchmarks`, from the root of the source; `headgate bench` calls it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import readme, results, suite
from benchmarks.problem import ROOT
from benchmarks.results import Kept, Row
from benchmarks.workloads import all_workloads

RESULTS, QUICK_RESULTS = ROOT / "benchmarks/results", ROOT / "build/bench"
README, README_FIGURE = ROOT / "README.md", ROOT / "docs/bench.svg"
WHO = "headgate bench"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite.

    Returns:
        0 done; 1 a peer computed something else, or failed; 2 refused; 130 interrupted.
    """
    options = _options(arguments)
    if options.list:
        print("\n".join(suite.listing()))
        return 0
    if not 1 <= options.threads <= results.cores():
        return _refuse(f"--threads {options.threads}, but this machine has {results.cores()} cores; give 1 or more.")
    try:
        pairs = suite.chosen(options.workload, options.peer)
    except suite.Unknown as error:
        return _refuse(str(error))
    out = options.out or (QUICK_RESULTS if options.quick else RESULTS)
    try:
        kept = Kept(out, results.circumstances(options.threads, options.quick))
    except OSError as error:
        return _refuse(f"--out {out} cannot be written ({error.strerror}); give a folder of your own.")
    warning = suite.busy(results.cores())
    if warning:
        print(f"{WHO}: {warning}.", file=sys.stderr, flush=True)
    if options.again:
        for workload, peer in pairs:
            kept.forget(workload.name, peer)
    try:
        rows = suite.run_all(pairs, kept, lambda line: print(line, flush=True))
    except KeyboardInterrupt:
        print(f"\n{WHO}: stopped; what was done is in {kept.path}, and the same command goes on.", file=sys.stderr)
        return 130
    print(f"\nThe table: {out / suite.TABLE}\nThe figure: {out / suite.FIGURE}")
    if out == RESULTS:
        print(_publish(kept))
    return 1 if any(row["status"] in ("refused", "failed") for row in rows) else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=WHO, allow_abbrev=False)
    parser.add_argument("--workload", action="append", default=[])
    parser.add_argument("--peer", action="append", default=[])
    parser.add_argument("--threads", type=int, default=min(2, results.cores()))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--list", action="store_true")
    return parser.parse_args(arguments)


def _publish(kept: Kept) -> str:
    """Write the README's part and its figure, if all that they show is there; what was done, in a sentence."""
    rows: list[Row] = kept.rows(all_workloads())
    known = suite.workloads_of(kept)
    if not readme.complete(rows, known):
        return f"{README.name} stays as it is: not all workloads outside the grid are measured beside all their peers."
    suite.replace(README, readme.with_summary(README.read_text(encoding="utf-8"), rows, known))
    suite.replace(README_FIGURE, (kept.folder / suite.FIGURE).read_text(encoding="utf-8"))
    return f"{README.name} and {README_FIGURE.relative_to(ROOT)} show them."


def _refuse(sentence: str) -> int:
    print(f"{WHO}: {sentence}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
