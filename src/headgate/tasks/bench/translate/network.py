"""Encoder and decoder with attention (Bahdanau, Cho & Bengio 2015; Luong, Pham & Manning 2015)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from headgate.tasks.bench.translate.options import Options
from headgate.tasks.settings import Layers


@dataclass(frozen=True)
class Memory:
    """What is known of the source.

    Attributes:
        values: the encoder's outputs, [B, S, M].
        keys: what attention compares with, [B, S, K].
        outside: True past a source's end, [B, S].
        state: with which the decoder begins, a tuple of [L, B, ...].
    """

    values: Tensor
    keys: Tensor
    outside: Tensor
    state: tuple[Tensor, ...]

    def rows(self, order: Tensor) -> Memory:
        """Some of the sources, [n]."""
        state = tuple(part[:, order] for part in self.state)
        return Memory(self.values[order], self.keys[order], self.outside[order], state)


@dataclass(frozen=True)
class Progress:
    """Where a decoder stands, N rows: as many for each source, side by side.

    Attributes:
        state: of the recurrent layers, a tuple of [L, N, ...].
        looked: what the last step made of the source, [N, E].
    """

    state: tuple[Tensor, ...]
    looked: Tensor

    def rows(self, order: Tensor) -> Progress:
        """Some of the rows, [n]; one may be taken again."""
        return Progress(tuple(part[:, order] for part in self.state), self.looked[order])


class Attention(nn.Module):
    """Where to look: weights over the steps of a source.

    Args:
        query, value: features of what asks and of the encoder's outputs.
        kind: "dot" (q v), "general" (q W v), "mlp" (w tanh(W q + U v)).

    Raises:
        ValueError: "dot" of two sizes.
    """

    def __init__(self, query: int, value: int, kind: str) -> None:
        super().__init__()
        if kind == "dot" and query != value:
            raise ValueError(f"attention='dot' needs equal sizes, but got {query} and {value}; choose 'general'.")
        self.kind = kind
        self.keys = nn.Identity() if kind == "dot" else nn.Linear(value, query, bias=kind == "mlp")
        if kind == "mlp":
            self.query, self.weight = nn.Linear(query, query, bias=False), nn.Linear(query, 1, bias=False)

    def forward(self, query: Tensor, memory: Memory) -> Tensor:
        """Queries [B, Q, H] to what they see, [B, Q, M]."""
        if self.kind == "mlp":
            scores = self.weight(torch.tanh(self.query(query)[:, :, None] + memory.keys[:, None])).squeeze(-1)
        else:
            scores = query @ memory.keys.transpose(1, 2)
        return scores.masked_fill(memory.outside[:, None], -torch.inf).softmax(-1) @ memory.values


class Translator(nn.Module):
    """Reads a source both ways and writes a target piece by piece; source and target share their pieces.

    Args:
        size: pieces and marks there are.
        options: of the task.
        layers: the decoder's; the encoder has half the units in each direction.

    Raises:
        ValueError: an odd number of units.
    """

    def __init__(self, size: int, options: Options, layers: Layers) -> None:
        super().__init__()
        E, H = options.embedding, layers.hidden_size
        if H % 2:
            raise ValueError(f"hidden_size={H} is odd, but half of the units read each way; give an even number.")
        self.embedding = nn.Embedding(size, E, padding_idx=0)
        self.encoder = replace(layers, hidden_size=H // 2).make(E, bidirectional=True)
        self.feeds = options.input_feeding
        self.decoder = layers.make(2 * E if self.feeds else E)
        pairs = zip(self.encoder.state_sizes, self.decoder.state_sizes, strict=True)
        self.bridge = nn.ModuleList(nn.Linear(2 * read, written) for read, written in pairs)
        self.attention = Attention(self.decoder.output_size, 2 * self.encoder.output_size, options.attention)
        self.look = nn.Linear(self.decoder.output_size + 2 * self.encoder.output_size, E)
        self.bias = nn.Parameter(torch.zeros(size))
        self.dropout = nn.Dropout(layers.dropout)
        # Tied to the output, whose logits should begin near zero; what is read is scaled to a spread of one.
        self.scale = E**0.5
        nn.init.normal_(self.embedding.weight, std=1 / self.scale)
        with torch.no_grad():
            self.embedding.weight[0] = 0

    def read(self, source: Tensor, lengths: Tensor) -> Memory:
        """A source [S, B] with its lengths [B], at least 1 each."""
        output, final = self.encoder(self._embedded(source), lengths=lengths)
        parts = final if isinstance(final, tuple) else (final,)
        values = self.dropout(output).transpose(0, 1)
        outside = torch.arange(source.shape[0], device=source.device) >= lengths[:, None]
        # [L D, B, S] -> [L, B, D S]
        sides = (part.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2) for part in parts)
        state = tuple(bridge(part) for bridge, part in zip(self.bridge, sides, strict=True))
        return Memory(values, self.attention.keys(values), outside, state)

    def begin(self, memory: Memory, each: int = 1) -> Progress:
        """Before the first piece, `each` rows for every source."""
        state = tuple(part.repeat_interleave(each, 1) for part in memory.state)
        return Progress(state, state[0].new_zeros(state[0].shape[1], self.look.out_features))

    def write(self, pieces: Tensor, memory: Memory) -> Tensor:
        """Given each piece of a target, [U, B], the logits of the next, [U, B, size]."""
        if self.feeds:
            progress, looked = self.begin(memory), []
            for now in self._embedded(pieces):
                progress = self._step(now, progress, memory)
                looked.append(progress.looked)
            return self._logits(torch.stack(looked))
        output, _ = self.decoder(self._embedded(pieces), _as_given(memory.state))
        return self._logits(self._looked(output.transpose(0, 1), memory).transpose(0, 1))

    def step(self, pieces: Tensor, progress: Progress, memory: Memory) -> tuple[Tensor, Progress]:
        """Given the last piece of each row, [N], the logits of the next, [N, size]."""
        progress = self._step(self._embedded(pieces), progress, memory)
        return self._logits(progress.looked), progress

    def _step(self, embedded: Tensor, progress: Progress, memory: Memory) -> Progress:
        input = torch.cat([embedded, progress.looked], -1) if self.feeds else embedded
        output, state = self.decoder.step(input, _as_given(progress.state))
        looked = self._looked(output.unflatten(0, (len(memory.values), -1)), memory).flatten(0, 1)
        return Progress(state if isinstance(state, tuple) else (state,), looked)

    def _embedded(self, pieces: Tensor) -> Tensor:
        return self.dropout(self.embedding(pieces) * self.scale)

    def _looked(self, output: Tensor, memory: Memory) -> Tensor:
        """Decoder outputs [B, Q, H] and what they see of the source, [B, Q, E]."""
        seen = self.attention(output, memory)
        return self.dropout(torch.tanh(self.look(torch.cat([output, seen], -1))))

    def _logits(self, looked: Tensor) -> Tensor:
        return functional.linear(looked, self.embedding.weight, self.bias)


def _as_given(state: tuple[Tensor, ...]) -> Any:
    """A layer of one state takes it as a tensor."""
    return state if len(state) > 1 else state[0]
