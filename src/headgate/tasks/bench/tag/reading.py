"""Users' files to sentences with tags, or texts with spans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from headgate.data import DataError, Example, lines
from headgate.data.conll import columns_of, sentences
from headgate.data.example import Place
from headgate.data.nested import ABSENT, find
from headgate.data.spans import PLAIN, Span, Witness
from headgate.data.tables import BY_LINE, SUFFIXES, form_of, open_table
from headgate.tasks.bench.tag.options import Options
from headgate.tasks.bench_task import Fit

TEXTS = ("text", "tokens", "words", "sentence", "content")
SPANS = ("spans", "entities", "tags", "ner_tags", "labels", "label", "annotations", "ents")
STARTS, ENDS = ("start", "start_offset", "begin", "start_char"), ("end", "end_offset", "stop", "end_char")
NAMES = ("label", "type", "tag", "entity", "entity_group", "class")
COLUMN_SUFFIXES = (".conll", ".iob", ".bio", ".iob2", ".conllu", ".bioes", ".annotated")
SAMPLE = 200


def read(paths: Sequence[Path], options: Options, answers: bool) -> Iterator[Example]:
    """See `BenchTask.read`."""
    for path in paths:
        kind = _kind(path, options, answers)
        if kind == "json":
            yield from _json(path, options, answers)
        elif kind == "columns":
            columns = columns_of(path, options.token_column, options.tag_column, options.encoding, answers)
            for sentence in sentences(path, columns, options.encoding):
                yield Example(sentence.tokens, sentence.tags, sentence.place)
        else:
            for k, line in enumerate(lines(path, options.encoding), 1):
                yield Example(line.strip(), None, Place(path, k))


def fits(path: Path, options: Options) -> Fit:
    """See `BenchTask.fits`."""
    try:
        kind = _kind(path, options, True)
        some = list(islice(read([path], options, True), SAMPLE))
    except (DataError, LookupError, OSError, ValueError) as reason:
        return Fit(0.0, str(reason))
    if kind == "json":
        return Fit(0.95, "its lines have a text and spans, or tokens and tags")
    witness = Witness()
    for example in some:
        witness.look(example.target)
    scheme, tokens = witness.scheme(), sum(len(example.input) for example in some)
    named = _named_columns(path)
    if scheme.name != PLAIN and not scheme.bare:
        return Fit(0.95, f"it has a token and a tag a line ({scheme.name})")
    # Any two columns without blank lines would do for plain tags, a table too.
    several = len(some) > 1 and tokens > 2 * len(some)
    return Fit(0.9 if named else 0.4 if several else 0.05, "it has a token and a label a line")


def by_line(path: Path, options: Options) -> Options | None:
    """See `BenchTask.by_line`."""
    try:
        alone = _kind(path, options, False) != "columns" and form_of(path, options.encoding) in BY_LINE
    except (DataError, LookupError, OSError):
        return None
    return options if alone else None


def _named_columns(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(COLUMN_SUFFIXES)


def _kind(path: Path, options: Options, answers: bool) -> str:
    """ "json", "columns" or, where no tags are asked for, "text"."""
    if not _named_columns(path) and form_of(path, options.encoding) in ("json lines", "json", "parquet"):
        return "json"
    if answers or _named_columns(path) or options.token_column or options.tag_column:
        return "columns"
    if SUFFIXES.get(path.suffix) == "lines":
        return "text"
    some = [line for line in islice(lines(path, options.encoding), SAMPLE) if line.strip()]
    if all(len(line.split()) == 1 for line in some):
        return "columns"
    counts = {line.count("\t") for line in some}
    return "columns" if len(counts) == 1 and counts != {0} else "text"


def _json(path: Path, options: Options, answers: bool) -> Iterator[Example]:
    for values, place in open_table(path, encoding=options.encoding):
        input, here = _field(values, options.text_column, TEXTS, place, "text_column")
        asked, there = _field(values, options.spans_column, SPANS, place, "spans_column", answers)
        if isinstance(input, str):
            yield Example(input, None if asked is None else _spans(asked, input, there), place)
        elif isinstance(input, list) and input and all(isinstance(token, str) and token.strip() for token in input):
            tags = None if asked is None else _tags(asked, input, there)
            yield Example([token.strip() for token in input], tags, place)
        else:
            raise DataError(f"{here}: a text, or a list of tokens with at least one, was expected.")


def _field(
    values: dict[str, Any], given: str, usual: Sequence[str], place: Place, option: str, needed: bool = True
) -> tuple[Any, Place]:
    name = given or next((name for name in usual if name in values), "")
    value = find(values, name) if name else ABSENT
    if value is ABSENT:
        if needed:
            wanted = given or " or ".join(usual[:2])
            raise DataError(f"{place} has no {wanted}; it has {', '.join(values)}. Say {option}.")
        return None, place
    return value, Place(place.file, place.line, name)


def _tags(tags: Any, tokens: list[str], place: Place) -> list[str]:
    if not isinstance(tags, list) or not all(isinstance(tag, str) and tag.strip() for tag in tags):
        raise DataError(f"{place}: a list of tags, one a token, was expected.")
    if len(tags) != len(tokens):
        raise DataError(f"{place} has {len(tags)} tags for {len(tokens)} tokens; give each token one.")
    return [tag.strip() for tag in tags]


def _spans(spans: Any, text: str, place: Place) -> list[Span]:
    """Spans of characters: {"start": 0, "end": 5, "label": "person"} or [0, 5, "person"] each."""
    if not isinstance(spans, list):
        raise DataError(f"{place}: a list of spans was expected, as in [{{\"start\": 0, \"end\": 5, \"label\": ...}}].")
    found = sorted(_span(span, len(text), place) for span in spans)
    for before, after in pairwise(found):
        if before.end > after.start:
            raise DataError(f"{place}: spans {tuple(before)} and {tuple(after)} overlap; a token has one tag.")
    return found


def _span(span: Any, length: int, place: Place) -> Span:
    if isinstance(span, dict):
        parts = [next((span[name] for name in names if name in span), None) for names in (STARTS, ENDS, NAMES)]
    else:
        parts = list(span) if isinstance(span, list) and len(span) == 3 else [None] * 3
    start, end, label = parts
    whole = all(isinstance(number, int) and not isinstance(number, bool) for number in (start, end))
    if not whole or not isinstance(label, str) or not label.strip():
        raise DataError(f"{place}: {str(span)[:60]} came, but a span has a start, an end and a label.")
    if not 0 <= start < end <= length:
        raise DataError(f"{place}: span {start} to {end} does not lie in the text, which has {length} characters.")
    return Span(start, end, label.strip())
