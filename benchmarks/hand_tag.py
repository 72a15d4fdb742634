"""A tagger by hand: words, how they are written and spelled, torch.nn.LSTM both ways over packed rows, a CRF."""

from __future__ import annotations

import random
import string
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torchcrf import CRF

from benchmarks import hand_work
from benchmarks.hand_work import SEED
from headgate.tasks.bench.tag import TASK
from headgate.tasks.bench.tag.options import Options
from headgate.tasks.bench_task import Batch

# Sentences of so many words of so many letters, about as in texts people tag; some thousand different words.
SENTENCES, WORDS, LETTERS, DIFFERENT = 3000, (5, 35), (1, 12), 8000


class Work(hand_work.Work):
    """Sentences of words drawn at random."""

    def __init__(self, folder: Path, hidden: int | None = None) -> None:
        path = folder / "sentences.conll"
        path.write_text("\n\n".join(_sentences()) + "\n", encoding="utf-8")
        super().__init__(TASK, Options(word_dropout=0.0, rare_dropout=0.0), path, hidden)
        self.name = f"tagger H={self.layers.hidden_size} both ways, letters and CRF, B={self.learning.batch_size}"

    def by_hand(self) -> ByHand:
        return ByHand(self.network())

    def tokens(self, batch: Batch) -> int:
        return int(batch["words_lengths"].sum())


def _sentences() -> list[str]:
    draw = random.Random(SEED)
    words = ["".join(draw.choices(string.ascii_letters, k=draw.randint(*LETTERS))) for _ in range(DIFFERENT)]
    tags = ("B-place", "B-person", *["O"] * 18)
    return [
        "\n".join(f"{draw.choice(words)}\t{draw.choice(tags)}" for _ in range(draw.randint(*WORDS)))
        for _ in range(SENTENCES)
    ]


class ByHand(nn.Module):
    """See the module; every different word of a batch is spelled once, as the bench does.

    Args:
        ours: whose weights it begins with.
    """

    def __init__(self, ours: nn.Module) -> None:
        super().__init__()
        self.words, self.cases, self.characters = (_copy(part) for part in (ours.words, ours.cases, ours.characters))
        self.spelling, self.recurrent = _lstm(ours.spelling), _lstm(ours.recurrent)
        self.head = nn.Linear(ours.head.in_features, ours.head.out_features)
        self.head.load_state_dict(ours.head.state_dict())
        self.field = CRF(ours.field.num_tags)
        with torch.no_grad():
            for name, value in self.field.named_parameters():
                value.copy_(getattr(ours.field, name))

    def loss(self, batch: Batch) -> Tensor:
        letters, lengths = self.characters(batch["spelled"]), batch["spelled_lengths"].cpu()
        _, (ends, _) = self.spelling(pack_padded_sequence(letters, lengths, enforce_sorted=False))
        spelled = torch.cat([ends[0], ends[1]], -1)[batch["spelling"]]
        input = torch.cat([self.words(batch["words"].long()), self.cases(batch["cases"]), spelled], -1)
        packed = pack_padded_sequence(input, batch["words_lengths"].cpu(), enforce_sorted=False)
        output, _ = pad_packed_sequence(self.recurrent(packed)[0])
        inside = torch.arange(len(output))[:, None] < batch["words_lengths"]
        return -self.field(self.head(output), batch["tags"].clamp_min(0), inside, reduction="token_mean")

    def pairs(self, ours: nn.Module) -> list[tuple[Tensor, Tensor]]:
        parts = ("words", "cases", "characters", "spelling", "recurrent", "head")
        both = [(getattr(ours, part), getattr(self, part)) for part in parts]
        pairs = [pair for one, other in both for pair in zip(one.parameters(), other.parameters(), strict=True)]
        return [*pairs, (ours.field.transitions, self.field.transitions)]


def _copy(given: nn.Embedding) -> nn.Embedding:
    made = nn.Embedding(*given.weight.shape, padding_idx=given.padding_idx)
    made.load_state_dict(given.state_dict())
    return made


def _lstm(given: nn.Module) -> nn.LSTM:
    made = nn.LSTM(given.input_size, given.hidden_size, bidirectional=True)
    made.load_state_dict(given.state_dict())
    return made
