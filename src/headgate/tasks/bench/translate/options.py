"""What only translation can set."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args, get_type_hints

from headgate.tasks.settings import check_encoding, option

LATER = ("evaluate", "predict")


@dataclass(frozen=True)
class Options:
    """See the `help` of each field.

    Raises:
        ValueError: a setting out of range.
    """

    source: str | None = option(None, "What is read: a column, or the ending of parallel files, as de of train.de.")
    target: str | None = option(None, "What is written: a column, or the ending of parallel files.")
    context: int = option(1, "Of dialogues: how many turns before an answer are read.")
    speaker: str | None = option(None, "Of dialogues: whose turns are learned as answers; everybody's unless said.")
    encoding: str = option("utf-8", "How the files are encoded.")
    pieces: int = option(8_000, "Pieces of words, source and target together (256: bytes alone).")
    lower: bool = option(False, "Make letters small, in what is read and written.")
    longest: int = option(400, "Pieces of a source; what is longer is cut, and said.")
    embedding: int = option(256, "Features of a piece.")
    attention: Literal["general", "dot", "mlp"] = option("general", "How a step looks at the source (Luong 2015).")
    input_feeding: bool = option(False, "Each step also gets what the last one looked at (slower).")
    smoothing: float = option(0.1, "Share of the target's probability spread over all pieces, in training.")
    beam: int = option(5, "Translations kept in mind while searching; 1 takes the best piece each time.", later=LATER)
    length_penalty: float = option(1.0, "A translation's score is divided by its length to this power.", later=LATER)

    def __post_init__(self) -> None:
        check_encoding(self.encoding)
        least = {"context": 1, "pieces": 256, "longest": 1, "embedding": 1, "beam": 1, "length_penalty": 0}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ValueError(f"{name}={getattr(self, name)}, but at least {low} is needed.")
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"smoothing={self.smoothing}, but a share in [0, 1) is needed.")
        known = get_args(get_type_hints(Options)["attention"])
        if self.attention not in known:
            raise ValueError(f"attention={self.attention!r} is not known; choose one of {', '.join(known)}.")
        if (self.source is None) != (self.target is None):
            given = next(f.name for f in fields(self) if f.name in ("source", "target") and getattr(self, f.name))
            raise ValueError(f"{given} is given alone; give source and target, or neither, to have them guessed.")
