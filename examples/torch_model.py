"""A model you already have, with torch.nn layers in it: looked into as it is, then moved to headgate's layers.

python examples/torch_model.py
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

import headgate as hg

T, B = 60, 16


class Tagger(nn.Module):
    """As you would have written it without headgate."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(100, 16)
        self.rnn = nn.LSTM(16, 32, num_layers=2, bidirectional=True, dropout=0.2)
        self.head = nn.Linear(64, 5)

    def forward(self, words: Tensor) -> Tensor:
        return self.head(self.rnn(self.embedding(words))[0])


def main() -> None:
    torch.manual_seed(0)
    model = Tagger()
    words, tags = torch.randint(100, (T, B)), torch.randint(5, (T, B))

    # Nothing of the model changes; whatever its layers compute while the watch is on is measured exactly.
    with hg.watch(model) as seen:
        scores = model(words)
        nn.functional.cross_entropy(scores[-1], tags[-1]).backward()
    for name in ("rnn.l0", "rnn.l0_reverse", "rnn.l1", "rnn.l1_reverse"):
        trace = seen[name]
        forget, steps = trace.gates["f"].mean().item(), trace.horizon(1e-3)
        print(f"{name:15} forget gate {forget:.2f} on average, a thousandth of the gradient left after {steps} steps")

    # The same weights in headgate's layers: same outputs, and what torch.nn lacks is at hand.
    swapped = hg.swap(copy.deepcopy(model)).eval()
    torch.testing.assert_close(swapped(words), model.eval()(words))
    print(swapped.rnn)


if __name__ == "__main__":
    main()
