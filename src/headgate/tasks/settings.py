"""What a run on a user's data can set: the recurrent layers, and how they learn. Each task has its own defaults."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headgate import cells
from headgate.nn import Recurrent


def option(
    default: Any,
    help: str,
    choices: tuple[str, ...] = (),
    later: tuple[str, ...] = (),
    only: tuple[str, tuple[str, ...]] | None = None,
) -> Any:
    """A field of a task's `Options`, with a line for the command's help.

    Args:
        default, help, choices: of the field.
        later: verbs ("evaluate", "predict") that can be given another value than training was.
        only: another field, and its values with which this one means anything later.
    """
    told = {"help": help, "later": later, "only": only}
    return field(default=default, metadata=told | ({"choices": choices} if choices else {}))


def check_encoding(name: str) -> None:
    """Refuse an encoding that Python does not know.

    Raises:
        ValueError: naming it.
    """
    try:
        codecs.lookup(name)
    except LookupError:
        raise ValueError(f"encoding={name!r} is not known; give one of Python's, such as utf-8 or cp1252.") from None


@dataclass(frozen=True)
class Layers:
    """The recurrent layers of a network.

    Attributes:
        cell: a name of the catalogue, or FILE.py:Class.
        hidden_size: units of a layer and direction, H.
        num_layers: layers, L.
        dropout: between layers and, where a task says so, around them.
        switches: of the cell (`peephole=True`) and its wrappers (`zoneout=0.1`, `layer_norm=True`), and keywords of
            `Recurrent` that set its start (`forget_bias`, `chrono`, `orthogonal`).
    """

    cell: str = "lstm"
    hidden_size: int = 128
    num_layers: int = 1
    dropout: float = 0.0
    switches: Mapping[str, Any] = field(default_factory=dict)

    def make(self, input_size: int, bidirectional: bool = False, num_layers: int | None = None) -> Recurrent:
        """The layers, time-major.

        Args:
            input_size: features of an input, I.
            bidirectional: whether a task reads both ways.
            num_layers: other than the setting, where a task stacks them itself.

        Raises:
            KeyError, TypeError, ValueError: no such cell, switch or size; see `Recurrent`.
        """
        cell = cells.load(self.cell) if ":" in self.cell else self.cell
        count = self.num_layers if num_layers is None else num_layers
        between = self.dropout if count > 1 else 0.0
        return Recurrent(
            cell, input_size, self.hidden_size, count, dropout=between, bidirectional=bidirectional, **self.switches
        )


@dataclass(frozen=True)
class Learning:
    """How a network learns.

    Attributes:
        epochs: at most so many times through the training rows.
        batch_size: rows of a step, over all devices together.
        rate: largest learning rate; None to find one before training.
        optimiser: "adam", "adamw" or "sgd".
        weight_decay: of adamw, and of sgd.
        schedule: of the rate after warm-up: "constant", "cosine" (to nothing at the last epoch) or "plateau" (quartered
            when the score no longer gets better).
        warmup: steps in which the rate grows from nothing.
        clip: largest norm of the gradient over all parameters; 0 for none.
        patience: so many epochs without a better score end training, as does a score that cannot get better; as many
            as there are epochs: nothing ends it early.
        precision: "32" or "bf16" (weights in float32, products in bfloat16).
        seed: of weights, order, masks and held-out rows.
        holdout: share of the training rows held out for validation, and as much for test, where no files are given.
    """

    epochs: int = 20
    batch_size: int = 32
    rate: float | None = 2e-3
    optimiser: str = "adam"
    weight_decay: float = 0.0
    schedule: str = "cosine"
    warmup: int = 0
    clip: float = 1.0
    patience: int = 5
    precision: str = "32"
    seed: int = 0
    holdout: float = 0.1
