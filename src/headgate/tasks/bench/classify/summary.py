"""What `check` says of texts or series with labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import numpy as np

from headgate.data import Example
from headgate.data.tokens import tokenise
from headgate.tasks.bench.classify.encoding import KINDS, label_set

# Rows with one hash of so many bytes are taken for duplicates; among a million, two others collide once in 10^7 files.
DIGEST_BYTES = 8


def describe(examples: Iterable[Example]) -> dict[str, Any]:
    """Rows, kind, labels with their counts, lengths, what is missing, empty or there twice."""
    labels: Counter[str] = Counter()
    lengths: Counter[int] = Counter()
    kinds: Counter[str] = Counter()
    channels: Counter[int] = Counter()
    answers: dict[bytes, tuple[str, ...]] = {}
    found = Counter(dict.fromkeys(("unlabelled", "several_labels", "empty", "missing_values", "duplicates"), 0))
    found["contradictions"] = 0
    for example in examples:
        kind = KINDS[type(example.input)]
        kinds[kind] += 1
        own = label_set(example.target)
        labels.update(own)
        found["unlabelled"] += example.target is None
        found["several_labels"] += len(own) > 1
        length = len(tokenise(example.input)) if kind == "text" else len(example.input)
        lengths[length] += 1
        found["empty"] += not length
        if kind == "series":
            channels[example.input.shape[1]] += 1
            found["missing_values"] += int(np.isnan(example.input).sum())
        digest = _digest(example.input)
        found["duplicates"] += digest in answers
        found["contradictions"] += answers.setdefault(digest, tuple(own)) != tuple(own)
    return {
        "rows": lengths.total(),
        "kind": "mixed" if len(kinds) > 1 else next(iter(kinds), "none"),
        "labels": dict(labels.most_common()),
        "lengths": _quantiles(lengths),
        "channels": sorted(channels),
        **found,
    }


def _digest(value: str | np.ndarray) -> bytes:
    raw = value.encode() if isinstance(value, str) else np.ascontiguousarray(value).tobytes()
    return blake2b(raw, digest_size=DIGEST_BYTES).digest()


def _quantiles(lengths: Counter[int]) -> dict[str, int]:
    wanted = {"shortest": 0.0, "median": 0.5, "nine_tenths": 0.9, "longest": 1.0}
    found, seen, rows = {}, 0, lengths.total()
    for length in sorted(lengths):
        seen += lengths[length]
        for name, share in wanted.items():
            if seen >= share * rows:
                found.setdefault(name, length)
    return found
