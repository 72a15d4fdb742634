"""What `check` says of running text, and how sure it is that a file is some."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

from headgate.data import DataError, lines
from headgate.data.corpus import Passage
from headgate.data.tokens import tokenise
from headgate.tasks.bench.language.options import Options
from headgate.tasks.bench_task import Fit

TEXT = (".txt", ".text", ".md", ".rst", ".tex")
TABLES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".conll", ".iob", ".bio")
FIRST_LINES = 200
# Signs that part the columns of a table.
PARTING = ("\t", ",", ";", "|")
# The rarest characters that are named one by one.
NAMED = 10
# Lines that are counted as duplicates are longer than this, and are known by a digest of so many bytes.
SHORT_LINE, DIGEST_BYTES = 20, 8
REPLACEMENT = "\ufffd"


def fits(path: Path, options: Options) -> Fit:
    """See `BenchTask.fits`."""
    name = path.name.lower().removesuffix(".gz")
    try:
        rows = [line.rstrip("\r\n") for line in islice(lines(path, options.encoding), FIRST_LINES)]
    except (DataError, LookupError) as reason:
        return Fit(0.0, f"it cannot be read as text ({reason})")
    filled = [row for row in rows if row.strip()]
    if not filled:
        return Fit(0.0, "it holds no text")
    sign = next((sign for sign in PARTING if _columns(filled, sign)), None)
    if sign is not None:
        return Fit(0.1, f"every line has as many {sign!r}")
    if filled[0].lstrip().startswith(("{", "[{")):
        return Fit(0.05, "it looks like JSON")
    if name.endswith(TABLES):
        return Fit(0.1, "it is plain text, but is called a table")
    sure = 0.7 if name.endswith(TEXT) else 0.35
    return Fit(sure, "it is plain text without columns")


def describe(examples: Iterable[Passage]) -> dict[str, Any]:
    """Documents, characters, words and lines; the characters there are; lines that stand more than once; oddities."""
    found = Counter(dict.fromkeys(("documents", "characters", "words", "blank_lines"), 0))
    signs: Counter[str] = Counter()

    def counted() -> Iterator[Passage]:
        for example in examples:
            text = example.input
            found.update(documents=example.begins, characters=len(text), words=len(tokenise(text)))
            signs.update(text)
            yield example

    seen: set[bytes] = set()
    rows = longest = repeated = 0
    for line in _lines(counted()):
        rows, longest = rows + 1, max(longest, len(line))
        found["blank_lines"] += not line.strip()
        if len(line) > SHORT_LINE:
            digest = blake2b(line.encode("utf-8", "replace"), digest_size=DIGEST_BYTES).digest()
            repeated += digest in seen
            seen.add(digest)
    control = {s: n for s, n in signs.items() if unicodedata.category(s) == "Cc" and s not in "\n\t"}
    rare = [sign for sign, n in sorted(signs.items(), key=lambda one: (one[1], one[0])) if n == 1]
    return {
        **found,
        "lines": rows,
        "longest_line": longest,
        "repeated_lines": repeated,
        "distinct_characters": len(signs),
        "characters_once": len(rare),
        "examples_once": rare[:NAMED],
        "control_characters": sum(control.values()),
        "replacement_characters": signs[REPLACEMENT],
        "most_frequent": dict(signs.most_common(NAMED)),
    }


def _lines(examples: Iterable[Passage]) -> Iterator[str]:
    """The lines of documents, without their ends; one may go on in the next passage."""
    rest = ""
    for example in examples:
        if example.begins and rest:
            yield rest
            rest = ""
        *whole, rest = f"{rest}{example.input}".split("\n")
        yield from whole
    if rest:
        yield rest


def _columns(rows: list[str], sign: str) -> bool:
    counts = {row.count(sign) for row in rows}
    return len(rows) > 1 and len(counts) == 1 and counts != {0}
