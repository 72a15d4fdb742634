"""A recurrent language model: embedding, recurrent layers, softmax, with the switches of AWD-LSTM."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from headgate.nn import Recurrent
from headgate.tasks.bench.language.options import Options
from headgate.tasks.settings import Layers

# Numbers that one of a few characters is embedded in.
CHARACTERS_IN = 64
# Weights of the embedding start uniform up to this (Merity, Keskar & Socher 2018).
START = 0.1

States = tuple[Any, ...]


class LanguageModel(nn.Module):
    """Scores of the next unit after each.

    Switches: locked dropout (Gal & Ghahramani 2016), embedding dropout (the same), a tied softmax (Press & Wolf 2017;
    Inan, Khosravi & Socher 2017), and dropped recurrent weights, AR and TAR (Merity, Keskar & Socher 2018).

    Args:
        size: units there are, V.
        counts: how often each came in training, [V], for the softmax to begin with.
        characters: whether units are characters.
        options: of the task.
        layers: settings; the dropout is that of the outputs of every layer.

    Raises:
        ValueError: a dropout out of range; an embedding of another size than the outputs, which are to share weights.
    """

    def __init__(self, size: int, counts: Any, characters: bool, options: Options, layers: Layers) -> None:
        super().__init__()
        if not 0 <= layers.dropout < 1:
            raise ValueError(f"dropout={layers.dropout} came, but a share from 0 to below 1 was expected.")
        self.options, self.dropout = options, layers.dropout
        self.tied = options.tied == "yes" or (options.tied == "auto" and not characters)
        width = options.embedding_size or (None if self.tied else CHARACTERS_IN if characters else layers.hidden_size)
        made: list[Recurrent] = []
        for _ in range(layers.num_layers):
            wide = made[-1].output_size if made else width or layers.make(1, num_layers=1).output_size
            made.append(layers.make(wide, num_layers=1))
        self.layers = nn.ModuleList(made)
        self.embedding = nn.Embedding(size, made[0].input_size)
        nn.init.uniform_(self.embedding.weight, -START, START)
        self.softmax = _Softmax(made[-1].output_size, counts, tied=self.tied)
        if self.tied and self.embedding.embedding_dim != made[-1].output_size:
            raise ValueError(
                f"tied: units are embedded in {self.embedding.embedding_dim} numbers, but the last layer puts out "
                f"{made[-1].output_size}; leave embedding_size out, make the two equal, or"
                    " give tied=no."
            )

    def forward(
        self, input: Tensor, state: States | None = None, reset: Tensor | None = None
    ) -> tuple[Tensor, States, Tensor, Tensor]:
        """Run over steps.

        Args:
            input: units, [T, B].
            state: what the last call returned; None to begin.
            reset: True where a document begins, [T, B].

        Returns:
            Scores [T, B, V], the state after the last step, and the last layer's outputs [T, B, H], with dropout and
            without.
        """
        value = self._drop(self._embed(input), self.options.input_dropout)
        after, plain = [], value
        for layer, before in zip(self.layers, state or [None] * len(self.layers), strict=True):
            plain, new = self._run(layer, value, before, reset)
            after.append(new)
            value = self._drop(plain, self.dropout)
        return self._scores(value), tuple(after), value, plain

    def step(self, input: Tensor, state: States | None = None) -> tuple[Tensor, States]:
        """One step without dropout: units [B] to scores [B, V], and the state to hand to the next."""
        value, after = functional.embedding(input, self.embedding.weight), []
        for layer, before in zip(self.layers, state or [None] * len(self.layers), strict=True):
            value, new = layer.step(value, before)
            after.append(new)
        return self._scores(value), tuple(after)

    def penalty(self, dropped: Tensor, plain: Tensor) -> Tensor | None:
        """AR and TAR of the last layer's outputs [T, B, H], with dropout and without; None where neither is on."""
        found = []
        if self.options.activation:
            found.append(self.options.activation * dropped.square().mean())
        if self.options.slowness and len(plain) > 1:
            found.append(self.options.slowness * (plain[1:] - plain[:-1]).square().mean())
        return sum(found) if found else None

    def _scores(self, value: Tensor) -> Tensor:
        return self.softmax(value, self.embedding.weight if self.tied else None)

    def _embed(self, input: Tensor) -> Tensor:
        rate, weight = self.options.embedding_dropout, self.embedding.weight
        if rate and self.training:
            kept = torch.empty(len(weight), 1, device=weight.device).bernoulli_(1 - rate)
            weight = weight * (kept / (1 - rate))
        return functional.embedding(input, weight)

    def _drop(self, value: Tensor, rate: float) -> Tensor:
        if not rate or not self.training:
            return value
        if not self.options.locked:
            return functional.dropout(value, rate)
        kept = value.new_empty(1, *value.shape[1:]).bernoulli_(1 - rate)
        return value * (kept / (1 - rate))

    def _run(self, layer: Recurrent, value: Tensor, state: Any, reset: Tensor | None) -> tuple[Tensor, Any]:
        def call(*arguments: Any, **more: Any) -> tuple[Tensor, Any]:
            rate = self.options.weight_drop
            if not rate or not self.training:
                return layer(*arguments, **more)
            dropped = {name: functional.dropout(weight, rate) for name, weight in recurrent_weights(layer).items()}
            return functional_call(layer, dropped, arguments, more)

        if state is None or reset is None:
            return call(value, state, reset=reset)
        first = layer.initial_state(value.shape[1], state_parts(state)[0].dtype, value.device)
        return run_documents(call, value, state, first, reset)


def run_documents(
    layer: Callable[..., tuple[Tensor, Any]], value: Tensor, state: Any, first: States, reset: Tensor
) -> tuple[Tensor, Any]:
    """A layer over rows that go on with a document and begin others: from a carried state, and later from the first.

    A layer's own `reset` restores the state that it was given. So each row in which a document begins is run as two:
    up to there from the state carried on, and, brought to the front, from there on from the first state.

    Args:
        layer: called as `Recurrent` is.
        value: [T, B, I].
        state: carried on, as a layer returns it.
        first: what a document begins with, a tensor [1, B, ...] a state.
        reset: where one does, [T, B].
    """
    T, B = reset.shape
    rows = reset.any(0).nonzero().flatten()
    place = reset.int().argmax(0)[rows]
    time = torch.arange(T, device=value.device)[:, None]
    there, back = (time + place) % T, (time - place) % T
    lengths = torch.full((B,), T, device=value.device).index_copy(0, rows, place)
    before = tuple(torch.cat([old, new[:, rows]], 1) for old, new in zip(state_parts(state), first, strict=True))
    output, after = layer(
        torch.cat([value, value[there, rows]], 1),
        before if isinstance(state, tuple) else before[0],
        lengths=torch.cat([lengths, T - place]),
        reset=torch.cat([torch.zeros_like(reset), reset[there, rows]], 1),
    )
    # Either part is zero where the other one is not.
    moved = output[:, B:][back, torch.arange(len(rows), device=value.device)]
    final = tuple(part[:, :B].index_copy(1, rows, part[:, B:]) for part in state_parts(after))
    return output[:, :B].index_add(1, rows, moved), final if isinstance(state, tuple) else final[0]


def state_parts(state: Any) -> States:
    """The states of a layer, also of a cell that has one alone."""
    return state if isinstance(state, tuple) else (state,)


class _Softmax(nn.Module):
    """Scores of all units; with weights of its own, or with the embedding's, which are then given at each call."""

    def __init__(self, width: int, counts: Any, tied: bool) -> None:
        super().__init__()
        frequent = torch.as_tensor(counts, dtype=torch.float64) + 1
        # A network that knows nothing yet knows how often each unit comes.
        self.bias = nn.Parameter((frequent / frequent.sum()).log().float())
        self.weight = None if tied else nn.Parameter(torch.empty(len(frequent), width).uniform_(-START, START))

    def forward(self, value: Tensor, shared: Tensor | None) -> Tensor:
        return functional.linear(value, self.weight if shared is None else shared, self.bias)


def recurrent_weights(layer: Recurrent) -> Mapping[str, Tensor]:
    """The matrices that a layer of one direction applies to its own states, by their names as parameters."""
    own = dict(layer.named_parameters(recurse=False))
    names = [f"weight_{matrix.name}_l0" for matrix in layer.cell.recurrent]
    return {name: own[name] for name in names}
