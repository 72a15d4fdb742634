"""From a file to a trained model, a prediction and an explanation, in Python: what the commands do, in a few calls.

python examples/from_a_file.py                 on made-up reviews
python examples/from_a_file.py reviews.csv     on your own file, of any task that headgate knows
"""

from __future__ import annotations

import csv
import random
import sys
from pathlib import Path

import headgate as hg

GOOD, BAD = ("lovely", "sharp", "moving"), ("dull", "noisy", "endless")


def reviews(path: Path, rows: int = 300, seed: int = 0) -> Path:
    """Sentences in which one word, anywhere, tells the label."""
    choose = random.Random(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["text", "label"])
        for _ in range(rows):
            label, words = choose.choice([("good", GOOD), ("bad", BAD)])
            sentence = [choose.choice(("the", "film", "was", "and", "so", "it")) for _ in range(choose.randint(5, 15))]
            sentence[choose.randrange(len(sentence))] = choose.choice(words)
            out.writerow([" ".join(sentence), label])
    return path


def main() -> None:
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else reviews(Path("reviews.csv"))

    # What is in the file, and what ought to be mended before training?
    found = hg.check(data)
    print(f"{found['task']}, since {found['why']}: {found['splits']['train']['rows']} rows")
    print(*found["findings"], sep="\n")

    # Defaults are sensible; any cell, wrapper and setting is a keyword (cell="gru", peephole=True, epochs=40).
    run = hg.train(data, say=print, zoneout=0.1)
    result = hg.evaluate(run)
    for name, value in result["metrics"].items():
        print(f"{name:12} {value:.4g}   baseline {result['baseline'].get(name)}   {result['words'][name]}")

    # An answer for each row; files and streams of bytes will do as well.
    if len(sys.argv) == 1:
        for answer in hg.predict(run, ["the film was lovely", "so noisy and so dull and endless", ""]):
            print(answer)

    # A folder of weights and configuration for others, without pickle; `hg.load` reads it back.
    model = hg.load(hg.export(run))
    print(f"{sum(p.numel() for p in model.network.parameters()):,} parameters")
    print(f"the page on its memory: {run.folder / 'report.html'}")


if __name__ == "__main__":
    main()
