"""What only classification can set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from headgate.tasks.settings import check_encoding, option

Pooling = Literal["last", "mean", "max", "attention"]
ClassWeights = Literal["none", "balanced"]
Header = Literal["guess", "yes", "no"]


@dataclass(frozen=True)
class Options:
    """Where text, series and labels stand, and what the network has beside its recurrent layers.

    Raises:
        ValueError: a value that an option does not know.
    """

    text_column: str = option("", "column of the text or series; guessed where empty (a path in JSON: a.b.0)")
    label_column: str = option("", "column of the label; guessed where empty (a path in JSON: services.0)")
    label_separator: str = option("", "what stands between the labels of a row; makes the task multi-label")
    records: str = option("", "path to the rows inside JSON, as in turns; a row also has the fields of what holds it")
    header: Header = option("guess", "whether a table's first line names its columns")
    id_column: str = option("", "column that says which series a row of a long table belongs to; guessed where empty")
    time_column: str = option("", "column that orders the rows of a series; guessed where empty")
    channels: str = option("", "columns of a table of series that are read, with commas; all numbers where empty")
    encoding: str = option("utf-8", "encoding of text files")
    lower: bool = option(True, "make letters small")
    smallest_count: int = option(2, "words that training has less often are unknown")
    largest_vocabulary: int = option(50_000, "at most so many words")
    embedding_size: int = option(128, "numbers a word is embedded in")
    word_dropout: float = option(0.1, "share of words that training replaces by the unknown word")
    frame: int = option(0, "steps of a series that are read as one; 0 chooses, so that few series have over 48")
    bidirectional: bool = option(True, "read from both ends")
    pooling: Pooling = option("max", "how the outputs of all steps become one")
    class_weights: ClassWeights = option("none", "of labels in the loss; balanced: rare ones count more")
    label_smoothing: float = option(0.0, "share of the answer that is spread over all labels in training")

    def __post_init__(self) -> None:
        check_encoding(self.encoding)
        known = {"pooling": Pooling, "class_weights": ClassWeights, "header": Header}
        for name, choices in ((name, get_args(kind)) for name, kind in known.items()):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}={getattr(self, name)!r} is not known; choose one of {', '.join(choices)}.")
        if self.text_column and self.text_column == self.label_column:
            raise ValueError(
                f"text_column and label_column are both {self.text_column!r}; the answer would be read as the question."
            )
        for name, least in {"smallest_count": 1, "largest_vocabulary": 1, "embedding_size": 1, "frame": 0}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} came, but at least {least} was expected.")
        for name in ("word_dropout", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} came, but a share from 0 to below 1 was expected.")
