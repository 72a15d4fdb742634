"""The network that tags: words and their spelling -> recurrent layers both ways -> a conditional random field."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torchcrf import CRF

from headgate.data.spans import Scheme, may_follow
from headgate.data.vocabulary import Vocabulary
from headgate.tasks.bench.tag.encoding import CASES, inner
from headgate.tasks.bench.tag.options import Options
from headgate.tasks.bench_task import Batch
from headgate.tasks.settings import Layers

CASE_SIZE = 8
# Added up over a sentence it stays exact enough in float32, and exp of it is zero.
FORBIDDEN = -1e4


class Forbid(nn.Module):
    """Scores that stay FORBIDDEN whatever is learned.

    Args:
        forbidden: where, bool.
    """

    def __init__(self, forbidden: Tensor) -> None:
        super().__init__()
        self.register_buffer("forbidden", forbidden, persistent=False)

    def forward(self, scores: Tensor) -> Tensor:
        return scores.masked_fill(self.forbidden, FORBIDDEN)


class Tagger(nn.Module):
    """Lample, Ballesteros, Subramanian, Kawakami & Dyer 2016, "Neural architectures for named entity recognition".

    Args:
        encoding: of `learn`.
        options, layers: what the user chose; the layer that spells words is of the same cell.
    """

    def __init__(self, encoding: dict[str, Any], options: Options, layers: Layers) -> None:
        super().__init__()
        words = len(Vocabulary.from_json(encoding["vocabulary"]))
        self.words = _embedding(words, options.embedding_size)
        chances = torch.full((words,), options.word_dropout)
        chances[torch.tensor(encoding["rare"], dtype=torch.long)] = options.rare_dropout
        self.register_buffer("dropped", chances, persistent=False)
        width = options.embedding_size
        self.cases = nn.Embedding(len(CASES), CASE_SIZE) if options.case else None
        width += CASE_SIZE if options.case else 0
        self.characters = self.spelling = None
        if options.character_units:
            signs = len(Vocabulary.from_json(encoding["characters"]))
            self.characters = _embedding(signs, options.character_size)
            small = replace(layers, hidden_size=options.character_units, num_layers=1)
            self.spelling = small.make(options.character_size, bidirectional=True)
            width += 2 * self.spelling.output_size
        self.recurrent = layers.make(width, bidirectional=True)
        self.dropout = nn.Dropout(layers.dropout)
        self.head = nn.Linear(2 * self.recurrent.output_size, len(encoding["tags"]))
        self.field = _field(encoding["tags"], inner(Scheme(**encoding["scheme"])))

    def forward(self, batch: Batch) -> Tensor:
        """Scores of the tags of each token by itself, [T, B, tags]."""
        words = batch["words"].long()
        if self.training:
            dropped = torch.rand(words.shape, device=words.device) < self.dropped[words]
            words = torch.where(dropped & (words != Vocabulary.PADDING), Vocabulary.UNKNOWN, words)
        parts = [self.words(words)]
        if self.cases is not None:
            parts.append(self.cases(batch["cases"]))
        if self.spelling is not None:
            parts.append(self._spelled(batch))
        lengths = batch["words_lengths"]
        output, _ = self.recurrent(self.dropout(torch.cat(parts, -1)), lengths=lengths)
        return self.head(self.dropout(output))

    def _spelled(self, batch: Batch) -> Tensor:
        """What both directions hold at the end of each word, [T, B, 2 O]; every word of a batch is read once."""
        characters, lengths = batch["spelled"], batch["spelled_lengths"]  # [C, K], [K]
        output, _ = self.spelling(self.characters(characters), lengths=lengths)
        size = self.spelling.output_size
        # The shape and not `len`, which a program that is traced would keep as a number.
        ends = output[(lengths - 1).clamp_min(0), torch.arange(output.shape[1], device=output.device)]
        each = torch.cat([ends[:, :size], output[0, :, size:]], -1)
        return each[batch["spelling"]]

    def costs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Negative log-likelihood of each sentence's tags and its number of tokens, [B] both.

        A sentence with a tag that training does not have is asked for nothing: the field cannot score it.
        """
        return self._costs(self(batch).float(), batch)

    def _costs(self, scores: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        tags, inside = batch["tags"], _inside(batch)
        known = ((tags >= 0) | ~inside).all(0)
        with parametrize.cached():
            each = -self.field(scores, tags.clamp_min(0), inside, reduction="none")
        return each * known, inside.sum(0) * known

    def best(self, batch: Batch) -> list[list[int]]:
        """The likeliest tags of each sentence (Viterbi)."""
        with parametrize.cached():
            return self.field.decode(self(batch).float(), _inside(batch))

    def judged(self, batch: Batch) -> tuple[list[list[int]], Tensor, Tensor]:
        """What `best` and `costs` give, from one look at the sentences."""
        scores = self(batch).float()
        with parametrize.cached():
            return self.field.decode(scores, _inside(batch)), *self._costs(scores, batch)


def _embedding(count: int, size: int) -> nn.Embedding:
    """Small at first, as in Ma & Hovy 2016: what a word is not yet known by does not drown how it is spelled."""
    made = nn.Embedding(count, size, padding_idx=Vocabulary.PADDING)
    with torch.no_grad():
        made.weight.uniform_(-math.sqrt(3 / size), math.sqrt(3 / size))
        made.weight[Vocabulary.PADDING] = 0
    return made


def _inside(batch: Batch) -> Tensor:
    words, lengths = batch["words"], batch["words_lengths"].to(batch["words"].device)
    return torch.arange(len(words), device=words.device)[:, None] < lengths


def _field(tags: list[str], scheme: Scheme) -> CRF:
    """A conditional random field that never breaks the scheme (Lafferty, McCallum & Pereira 2001)."""
    field = CRF(len(tags))
    pairs = torch.tensor([[not may_follow(before, after, scheme) for after in tags] for before in tags])
    parametrize.register_parametrization(field, "transitions", Forbid(pairs))
    for name, forbidden in {
        "start_transitions": [not may_follow(None, tag, scheme) for tag in tags],
        "end_transitions": [not may_follow(tag, None, scheme) for tag in tags],
    }.items():
        parametrize.register_parametrization(field, name, Forbid(torch.tensor(forbidden)))
    return field
