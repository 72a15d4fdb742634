"""`python -m benchmarks`, from the root of the source; `headgate bench` calls it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import results, suite
from benchmarks.problem import ROOT

RESULTS, QUICK_RESULTS, README_FIGURE = ROOT / "benchmarks/results", ROOT / "build/bench", ROOT / "docs/bench.svg"
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
    if options.threads > results.cores():
        return _refuse(f"--threads {options.threads}, but this machine has {results.cores()} cores; give fewer.")
    try:
        pairs = suite.chosen(options.workload, options.peer)
    except suite.Unknown as error:
        return _refuse(str(error))
    out = Path(options.out) if options.out else QUICK_RESULTS if options.quick else RESULTS
    try:
        kept = results.Kept(out, results.circumstances(options.threads, options.quick))
    except OSError as error:
        return _refuse(f"--out {out} cannot be written ({error.strerror}); give a folder of your own.")
    warning = suite.busy(results.cores())
    if warning:
        print(f"{WHO}: {warning}.", file=sys.stderr, flush=True)
    # The README's figure is that of a whole run.
    whole = not (options.workload or options.peer or options.quick or options.out)
    try:
        rows = suite.run_all(pairs, kept, lambda line: print(line, flush=True), [README_FIGURE] if whole else [])
    except KeyboardInterrupt:
        print(f"\n{WHO}: stopped; what was done is in {kept.path}, and the same command goes on.", file=sys.stderr)
        return 130
    print(f"\nThe table: {out / suite.TABLE}\nThe figure: {README_FIGURE if whole else out / suite.FIGURE}")
    return 1 if any(row["status"] in ("refused", "failed") for row in rows) else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=WHO)
    parser.add_argument("--workload", action="append", default=[])
    parser.add_argument("--peer", action="append", default=[])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args(arguments)


def _refuse(sentence: str) -> int:
    print(f"{WHO}: {sentence}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
