"""Pairs of texts: parallel files, tables with a column each, and dialogues whose turns answer one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from headgate.data.example import DataError, Example, Place
from headgate.data.nested import ABSENT, find
from headgate.data.tables import BY_LINE, SUFFIXES, Table, open_table
from headgate.data.text import lines

COMPRESSED = ".gz"
# What the two columns are called, the surest first.
COLUMNS = (
    ("source", "target"), ("src", "tgt"), ("src", "trg"), ("input", "output"), ("prompt", "completion"),
    ("prompt", "response"), ("instruction", "output"), ("question", "answer"), ("article", "highlights"),
    ("article", "summary"), ("document", "summary"), ("dialogue", "summary"), ("text", "summary"),
    ("text", "translation"),
)  # fmt: skip
KNOWN = frozenset(name for pair in COLUMNS for name in pair)
# Two columns that are both called after a language have a header; elsewhere such words are texts like others.
LANGUAGES = frozenset(
    """
    arabic ar bengali bn bulgarian bg chinese zh croatian hr czech cs danish da dutch nl english en estonian et
    finnish fi french fr german de greek el hebrew he hindi hi hungarian hu icelandic is indonesian id irish ga
    italian it japanese ja korean ko latvian lv lithuanian lt norwegian no persian fa polish pl portuguese pt
    romanian ro russian ru serbian sr slovak sk slovenian sl spanish es swahili sw swedish sv tamil ta telugu te
    thai th turkish tr ukrainian uk urdu ur vietnamese vi
    """.split()  # noqa: SIM905 - a word list is read, and not a hundred pairs of quotes
)
# Where a dialogue's turns are, and what is said in a turn and by whom.
TURNS = ("turns", "messages", "conversation", "conversations", "dialogue", "dialog")
SAID = ("utterance", "content", "text", "value", "message")
SPEAKERS = ("speaker", "role", "from")
BETWEEN_TURNS = "\n"


@dataclass(frozen=True)
class PairForm:
    """How a file's pairs are to be read.

    Attributes:
        source, target: columns; or of parallel files their endings; "" for none.
        context: turns before an answer that are read.
        speaker: whose turns are answers; None for everybody's.
        encoding: of text.
    """

    source: str | None = None
    target: str | None = None
    context: int = 1
    speaker: str | None = None
    encoding: str = "utf-8"


def read_pairs(paths: Sequence[Path], form: PairForm, answers: bool = True) -> Iterator[Example]:
    """The pairs of files, one by one; pairs of two empty texts are passed over, unless every row is to be answered.

    Args:
        paths: parallel files ("train.de" beside "train.en"), or files that hold both sides each.
        form: how to read them.
        answers: whether targets have to be there; without, a file of text is a source a line.

    Raises:
        DataError: a file or a row cannot be used, or has no pairs.
    """
    if parallel := parallel_files(paths, form):
        parts = [_of_parallel(source, target, form.encoding) for source, target in parallel]
    else:
        parts = [_of_table(path, form, answers) for path in paths]
    for example in chain.from_iterable(parts):
        if not answers or example.input.strip() or (example.target or "").strip():
            yield example


def pairs_in(path: Path, form: PairForm) -> tuple[str, float] | None:
    """What a file pairs, in words, and how sure that is; None if it holds no pairs, whatever else it holds."""
    try:
        if partners := parallel_files([path], form):
            source, target = partners[0]
            return f"lines of {source.name} with lines of {target.name}", 0.9
        table = _table(path, form)
        turns = _turns_column(table)
        if turns is not None and form.source is None:
            return f"turns of {turns} with the turns after them", 0.6
        if table.form == "lines":
            return "a text a line with nothing yet", 0.05
        columns = _columns(table, form)
    except (DataError, LookupError, OSError):
        return None
    if columns is None:
        return None
    named = form.source is not None or tuple(name.lower() for name in columns) in COLUMNS
    return f"column {columns[0]} with column {columns[1]}", 0.9 if named else 0.2


def by_line(path: Path, form: PairForm) -> PairForm | None:
    """How later lines are read, each by itself, as the first ones are to be answered; None if a line needs others."""
    try:
        if parallel_files([path], form) or (table := _table(path, form)).form not in BY_LINE:
            return None
        if table.form == "lines" or _turns_column(table):
            return form
        columns = _columns(table, form, False)
    except (DataError, LookupError, OSError):
        return None
    return columns and replace(form, source=columns[0], target=columns[1])


# --- parallel files


def ending(path: Path) -> str:
    """The last part of a file's name, ".gz" aside: "de" of "train.de.gz"; empty if it has one part alone."""
    return path.name.removesuffix(COMPRESSED).rpartition(".")[2] if "." in path.name else ""


def parallel_files(paths: Sequence[Path], form: PairForm) -> list[tuple[Path, Path]]:
    """The pairs among files and their partners beside them, in the order of their names; none if they are not parallel.

    Where `form` names no endings and files have two, that are no kind of table, the first in the alphabet is read.

    Raises:
        DataError: a file lacks its partner.
    """
    known = {ending(path) for path in paths}
    beside = {other: None for path in paths for other in path.parent.iterdir() if _stem(other) == _stem(path)}
    source, target = form.source, form.target
    if source is None:
        found = sorted({ending(path) for path in beside})
        tables = {suffix.removeprefix(".") for suffix in SUFFIXES} | {"", "txt"}
        if len(found) != 2 or set(found) & tables:
            return []
        source, target = found
    if not known & {source, target}:
        return []
    stems: dict[Path, dict[str, Path]] = {}
    for path in [*beside, *paths]:
        if ending(path) in (source, target):
            stems.setdefault(_stem(path), {})[ending(path)] = path
    for stem, sides in sorted(stems.items()):
        for there, lacking in ((source, target), (target, source)):
            if lacking not in sides:
                raise DataError(f"{sides[there]} has no partner {stem}.{lacking}; parallel files come in twos.")
    return [(sides[source], sides[target]) for _, sides in sorted(stems.items())]


def _stem(path: Path) -> Path:
    name = path.name.removesuffix(COMPRESSED)
    return path.parent / name.rpartition(".")[0] if "." in name else path


def _of_parallel(source_file: Path, target_file: Path, encoding: str) -> Iterator[Example]:
    pairs = zip_longest(lines(source_file, encoding), lines(target_file, encoding))
    for number, (source, target) in enumerate(pairs, 1):
        if source is None or target is None:
            shorter, longer = (source_file, target_file) if source is None else (target_file, source_file)
            raise DataError(
                f"{shorter} ends after line {number - 1}, but {longer} goes on; parallel files have as many lines."
            )
        yield Example(source.strip(), target.strip(), Place(source_file, number))


# --- tables and dialogues


def _of_table(path: Path, form: PairForm, answers: bool) -> Iterator[Example]:
    table = _table(path, form)
    if not answers and table.form == "lines":
        yield from (Example(row["text"], None, place) for row, place in table)
        return
    turns = _turns_column(table) if form.source is None else None
    if turns is not None:
        for row, place in table:
            here = Place(place.file, place.line, f"{place.column or ''}.{turns}".lstrip("."))
            yield from _of_dialogue(row.get(turns), form, here, answers)
        return
    columns = _columns(table, form, answers)
    if columns is None:
        raise DataError(
            f"{path} has columns {', '.join(table.columns)}, and which is read and which is written is not clear; say "
            "--source and --target."
        )
    source, target = columns
    for row, place in table:
        read = _text(find(row, source), Place(place.file, place.line, source))
        written = find(row, target) if target else ABSENT
        if written is not ABSENT or answers:
            written = _text(written, Place(place.file, place.line, target))
        yield Example(read, None if written is ABSENT else written, place)


def _table(path: Path, form: PairForm) -> Table:
    """A table whose first line is a row, unless it says which column is which: two texts are no names of columns."""
    table = open_table(path, encoding=form.encoding, known=KNOWN)
    names = {name.lower() for name in table.columns}
    if form.source is not None or not table.header or names & KNOWN or names <= LANGUAGES:
        return table
    return open_table(path, header=False, encoding=form.encoding, known=KNOWN)


def _columns(table: Table, form: PairForm, answers: bool = True) -> tuple[str, str] | None:
    """What is read and what is written; the second is "" where it is missing and may be."""
    if form.source is not None:
        return form.source, form.target or ""
    by_name = {name.lower(): name for name in table.columns}
    for source, target in COLUMNS:
        if source in by_name and (target in by_name or not answers):
            return by_name[source], by_name.get(target, "")
    texts = [name for name in table.columns if all(isinstance(row.get(name), str) for row, _ in table.sample())]
    if len(table.columns) == 2 and len(texts) == 2 and table.form != "fasttext":
        return texts[0], texts[1]
    return (texts[0], "") if len(texts) == 1 and not answers else None


def _turns_column(table: Table) -> str | None:
    row = table.sample()[0][0] if table.sample() else {}
    return next((name for name in TURNS if isinstance(row.get(name), list)), None)


def _of_dialogue(turns: Any, form: PairForm, place: Place, answers: bool) -> Iterator[Example]:
    if not isinstance(turns, list):
        raise DataError(f"{place} is no list of turns; each dialogue has one, as the first does.")
    said = [_turn(turn, Place(place.file, place.line, f"{place.column}[{k}]")) for k, turn in enumerate(turns)]
    if not answers:
        if said:
            yield Example(BETWEEN_TURNS.join(text for text, _ in said[-form.context :]), None, place)
        return
    for k in range(1, len(said)):
        text, speaker = said[k]
        if form.speaker is None or speaker == form.speaker:
            before = BETWEEN_TURNS.join(earlier for earlier, _ in said[max(0, k - form.context) : k])
            yield Example(before, text, Place(place.file, place.line, f"{place.column}[{k}]"))


def _turn(turn: Any, place: Place) -> tuple[str, Any]:
    """What is said, and by whom."""
    if isinstance(turn, dict):
        speaker = next((turn[name] for name in SPEAKERS if name in turn), None)
        return _text(next((turn[name] for name in SAID if name in turn), ABSENT), place), speaker
    return _text(turn, place), None


def _text(value: Any, place: Place) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    what = "is missing" if value is ABSENT else f"holds {type(value).__name__}"
    raise DataError(f"{place} {what}, but text was expected; fill it or leave the row out.")
