"""What only tagging can set."""

from __future__ import annotations

from dataclasses import dataclass

from headgate.tasks.settings import check_encoding, option


@dataclass(frozen=True)
class Options:
    """Where tokens, tags and spans stand, and what the network knows of a word.

    Raises:
        ValueError: a value that an option does not know.
    """

    token_column: int = option(0, "column of the tokens, from 1, from the end where negative; 0: the first")
    tag_column: int = option(0, "column of the tags, from 1, from the end where negative; 0: the last")
    text_column: str = option("", "field of the text, or of the tokens, in JSON lines; guessed where empty")
    spans_column: str = option("", "field of the spans, or of the tags, in JSON lines; guessed where empty")
    encoding: str = option("utf-8", "encoding of text files")
    lower: bool = option(True, "make letters small before looking a word up; its characters stay as they are")
    case: bool = option(True, "tell the network how a word is written: Title, UPPER, digits, ...")
    smallest_count: int = option(1, "words that training has less often are unknown")
    largest_vocabulary: int = option(50_000, "at most so many words")
    embedding_size: int = option(100, "numbers a word is embedded in")
    character_size: int = option(25, "numbers a character is embedded in")
    character_units: int = option(25, "units of the layer that spells words, in each direction; 0 for none")
    word_dropout: float = option(0.1, "share of words that training replaces by the unknown word")
    rare_dropout: float = option(0.5, "the same for words that training has once")

    def __post_init__(self) -> None:
        check_encoding(self.encoding)
        least = {"smallest_count": 1, "largest_vocabulary": 1, "embedding_size": 1, "character_size": 1}
        for name, value in (least | {"character_units": 0}).items():
            if getattr(self, name) < value:
                raise ValueError(f"{name}={getattr(self, name)} came, but at least {value} was expected.")
        for name in ("word_dropout", "rare_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} came, but a share from 0 to below 1 was expected.")
