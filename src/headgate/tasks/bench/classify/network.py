"""The network that classifies: words or channels -> recurrent layers -> one vector -> a score for each label."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from headgate.data.vocabulary import Vocabulary
from headgate.tasks.bench.classify.options import Options
from headgate.tasks.bench_task import Batch
from headgate.tasks.settings import Layers


class Classifier(nn.Module):
    """Scores of labels for sequences.

    Args:
        encoding: of `learn`.
        options, layers: what the user chose.
        class_weights: of each label in the loss, [labels].
    """

    def __init__(self, encoding: dict[str, Any], options: Options, layers: Layers, class_weights: Tensor) -> None:
        super().__init__()
        self.multi: bool = encoding["multi"]
        self.smoothing, self.word_dropout, self.pooling = options.label_smoothing, options.word_dropout, options.pooling
        self.embedding = None
        if encoding["kind"] == "text":
            words = len(Vocabulary.from_json(encoding["vocabulary"]))
            self.embedding = nn.Embedding(words, options.embedding_size, padding_idx=Vocabulary.PADDING)
        size = options.embedding_size if self.embedding is not None else encoding["features"]
        self.recurrent = layers.make(size, bidirectional=options.bidirectional)
        width = self.recurrent.output_size * self.recurrent.num_directions
        self.attention = None
        if options.pooling == "attention":
            self.attention = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1, bias=False))
        self.dropout = nn.Dropout(layers.dropout)
        self.head = nn.Linear(width, len(encoding["labels"]))
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, batch: Batch) -> Tensor:
        """Scores before the softmax (before the sigmoid for several labels a row), [B, labels]."""
        input, lengths = self._input(batch)
        output, _ = self.recurrent(input, lengths=lengths)  # [T, B, D O]
        return self.head(self.dropout(self._pool(output, lengths)))

    def _input(self, batch: Batch) -> tuple[Tensor, Tensor]:
        if self.embedding is None:
            return batch["values"], batch["values_lengths"]
        words, lengths = batch["words"], batch["words_lengths"]
        if self.training and self.word_dropout:
            dropped = torch.rand(words.shape, device=words.device) < self.word_dropout
            words = torch.where(dropped & (words != Vocabulary.PADDING), Vocabulary.UNKNOWN, words)
        return self.dropout(self.embedding(words)), lengths

    def _pool(self, output: Tensor, lengths: Tensor) -> Tensor:
        # The shape and not `len`, which a program that is traced would keep as a number.
        steps = torch.arange(output.shape[0], device=output.device)[:, None, None]
        inside = steps < lengths.to(output.device)[:, None]  # [T, B, 1]
        if self.pooling == "mean":
            return output.sum(0) / inside.sum(0)  # outputs are zero past the end
        if self.pooling == "max":
            return output.masked_fill(~inside, -torch.inf).amax(0)
        if self.attention is not None:
            weights = self.attention(output).masked_fill(~inside, -torch.inf).softmax(0)
            return (weights * output).sum(0)
        # What each direction holds when it has read everything.
        last = output[lengths.to(output.device) - 1, torch.arange(output.shape[1], device=output.device)]
        if not self.recurrent.bidirectional:
            return last
        forward = self.recurrent.output_size
        return torch.cat([last[:, :forward], output[0, :, forward:]], -1)

    def costs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss of each row and how many answers it was asked for, [B] both: none where its label is not known."""
        scores, label = self(batch).float(), batch["label"]
        weights = self.class_weights if self.training else torch.ones_like(self.class_weights)
        smoothing = self.smoothing if self.training else 0.0
        if self.multi:
            asked = label.T.float()  # [B, labels]
            target = asked * (1 - smoothing) + smoothing / 2
            each = functional.binary_cross_entropy_with_logits(scores, target, pos_weight=weights, reduction="none")
            return each.mean(-1), torch.ones_like(each[:, 0])
        known = label >= 0
        target = label.clamp_min(0)
        each = functional.cross_entropy(scores, target, weights, reduction="none", label_smoothing=smoothing)
        return each * known, known.to(each.dtype)

    def probabilities(self, batch: Batch) -> Tensor:
        """Of each label, [B, labels]; they sum to one unless a row may have several labels."""
        scores = self(batch).float()
        return scores.sigmoid() if self.multi else scores.softmax(-1)
