"""What only the language task can set."""

from __future__ import annotations

from dataclasses import dataclass

from headgate.data.corpus import DOCUMENTS
from headgate.tasks.settings import check_encoding, option

TIED = ("auto", "yes", "no")
LATER = ("evaluate",)
UNITS = ("auto", "characters", "words", "pieces")


@dataclass(frozen=True)
class Options:
    """What is read, in which units, and what the network has beside its recurrent layers.

    Raises:
        ValueError: a value that an option does not know.
    """

    encoding: str = option("utf-8", "encoding of text files")
    documents: str = option("files", "what a document is; each is read from a fresh state, unless joined", DOCUMENTS)
    gutenberg: bool = option(False, "take only what stands between the marks of Project Gutenberg")
    units: str = option("auto", "what is predicted; auto: characters, or of large texts pieces of words (BPE)", UNITS)
    lower: bool = option(False, "make letters small")
    smallest_count: int = option(0, "words that training has less often are unknown; 0: 2 for words, 1 for characters")
    largest_vocabulary: int = option(0, "at most so many units; 0: all characters, 50000 words, 8000 pieces")
    steps: int = option(64, "steps that a gradient goes back (truncated BPTT)")
    random_steps: bool = option(False, "vary the steps of a batch as AWD-LSTM does")
    embedding_size: int = option(0, "numbers a unit is embedded in; 0: 64 for characters, else as hidden units")
    tied: str = option("auto", "the softmax has the embedding's weights; auto: for words and pieces", TIED)
    locked: bool = option(True, "dropout keeps its masks over all steps of a batch")
    input_dropout: float = option(0.0, "dropout of the embedded units")
    embedding_dropout: float = option(0.0, "share of the units that are left out of a batch altogether")
    weight_drop: float = option(0.0, "share of the recurrent weights that are left out of a batch")
    activation: float = option(0.0, "AR: adds this times the mean square of the last layer's outputs")
    slowness: float = option(0.0, "TAR: adds this times the mean square of their changes from step to step")
    dynamic_rate: float = option(
        0.0, "of eval: go on learning from what was scored, at this rate, as 0.3 (0: do not)", later=LATER
    )
    dynamic_decay: float = option(0.02, "with it: share by which a step returns to what was trained", later=LATER)
    dynamic_steps: int = option(20, "with it: units between two steps", later=LATER)

    def __post_init__(self) -> None:
        check_encoding(self.encoding)
        for name, choices in {"documents": DOCUMENTS, "units": UNITS, "tied": TIED}.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}={getattr(self, name)!r} is not known; choose one of {', '.join(choices)}.")
        least = {"steps": 1, "dynamic_steps": 1} | dict.fromkeys(
            ("smallest_count", "largest_vocabulary", "embedding_size", "activation", "slowness", "dynamic_rate"), 0
        )
        for name, low in least.items():
            if not getattr(self, name) >= low:
                raise ValueError(f"{name}={getattr(self, name)} came, but at least {low} was expected.")
        for name in ("input_dropout", "embedding_dropout", "weight_drop", "dynamic_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} came, but a share from 0 to below 1 was expected.")
