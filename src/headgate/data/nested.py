"""Rows in JSON: an object a line, a list of objects, or rows deep inside; and what stands at a path."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headgate.data.example import DataError, Place
from headgate.data.text import lines

# Values by column, and where they stand.
SomeRows = Iterator[tuple[dict[str, Any], Place]]
ABSENT = object()


def json_lines(path: str | Path, encoding: str = "utf-8", records: str = "") -> SomeRows:
    """The objects of a file that has one a line; see `json_rows` for `records`.

    Raises:
        DataError: a line is no JSON, or no object.
    """
    for k, line in enumerate(lines(path, encoding), 1):
        if line.strip():
            place = Place(path, k)
            value = _parsed(line.rstrip(), place)
            if not isinstance(value, dict):
                raise DataError(f"{place} is {_kind(value)}, but an object was expected, as in {{\"text\": ...}}.")
            yield from _within(value, records, place) if records else [(value, place)]


def json_rows(path: str | Path, encoding: str = "utf-8", records: str = "") -> SomeRows:
    """The rows of a JSON file: a list of objects, or an object with one list of objects.

    Args:
        path: the file; it is read as a whole.
        encoding: of its text.
        records: dotted path from an object to a list of objects inside it: each of these is a row, which also has the
            fields of the objects that hold it (of two fields of one name, the inner). "turns" makes of a list of
            dialogues a list of turns that know the fields of their dialogue.

    Raises:
        DataError: it is no JSON, or has no rows there.
    """
    document = _parsed("".join(lines(path, encoding)), Place(path))
    rows = document
    if isinstance(document, dict):
        inside = [part for part in document.values() if isinstance(part, list) and part and isinstance(part[0], dict)]
        whole = records.split(".")[0] in document
        rows = [document] if whole else inside[0] if len(inside) == 1 else None
    if not isinstance(rows, list) or not rows:
        raise DataError(f"{path} is {_kind(document)} without rows; a list of objects was expected, or say --records.")
    for k, value in enumerate(rows):
        place = Place(path, None, f"[{k}]")
        if not isinstance(value, dict):
            raise DataError(f"{place} is {_kind(value)}, but an object was expected.")
        yield from _within(value, records, place) if records else [(value, place)]


def find(values: Any, path: str) -> Any:
    """What stands at a dotted path of names and numbers ("services.0"); ABSENT if nothing does.

    A name that holds points itself comes before a path.
    """
    if isinstance(values, dict) and path in values:
        return values[path]
    for part in path.split("."):
        if isinstance(values, dict) and part in values:
            values = values[part]
        elif isinstance(values, list) and part in map(str, range(len(values))):
            values = values[int(part)]
        else:
            return ABSENT
    return values


def _within(value: dict[str, Any], records: str, place: Place) -> SomeRows:
    step, _, rest = records.partition(".")
    inside = value.get(step)
    outer = {name: kept for name, kept in value.items() if name != step}
    if isinstance(inside, dict) and rest:
        yield from _within(outer | inside, rest, place)
        return
    if not isinstance(inside, list):
        raise DataError(f"{place} has no list at {step!r}, which records={records!r} asks for; leave such files out.")
    for k, part in enumerate(inside):
        here = Place(place.file, place.line, f"{place.column or ''}.{step}[{k}]".lstrip("."))
        if not isinstance(part, dict):
            raise DataError(f"{here} is {_kind(part)}, but an object was expected.")
        yield from _within(outer | part, rest, here) if rest else [(outer | part, here)]


def _parsed(text: str, place: Place) -> Any:
    try:
        value = json.loads(text)
        if "\\u" in text:
            # Half of a pair of surrogates is no character, and no file can hold it.
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as reason:
        where = Place(place.file, place.line or reason.lineno, place.column or reason.colno)
        raise DataError(f"{where} is no JSON ({reason.msg}).") from None
    except UnicodeEncodeError:
        raise DataError(f"{place} has half of a surrogate pair, which is no character; write the pair.") from None
    except (ValueError, RecursionError) as reason:
        raise DataError(f"{place} cannot be read as JSON ({' '.join(str(reason).split())[:80]}).") from None
    return value


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", type(None): "null"}
    return kinds.get(type(value), "a number")
