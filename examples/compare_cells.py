"""Which cell can count? LSTM, GRU and the plain RNN on the same rows, three seeds each, at equal parameters.

python examples/compare_cells.py        words of 40 signs
python examples/compare_cells.py 100    longer ones
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import headgate as hg


def words(path: Path, length: int, rows: int = 600, seed: int = 0) -> Path:
    """Words of a, b and other signs; the label says whether there are more a than b."""
    choose = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        file.write("text,label\n")
        for _ in range(rows):
            signs = choose.choices("abxyz", k=length)
            file.write(" ".join(signs) + (",more\n" if signs.count("a") > signs.count("b") else ",fewer\n"))
    return path


def main() -> None:
    length = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    out = Path(f"compared_{length}")
    hg.compare(
        words(Path(f"words_{length}.csv"), length),
        cells=("lstm", "gru", "rnn"),
        seeds=(0, 1, 2),
        out=out,
        bidirectional=False,
        pooling="last",  # a sum over all steps would do the counting for them
        embedding_size=8,
        hidden_size=32,
        rate=0.01,
        dropout=0.0,
        word_dropout=0.0,
        epochs=15,
        patience=15,
        say=print,
    )
    print((out / "table.md").read_text())


if __name__ == "__main__":
    main()
