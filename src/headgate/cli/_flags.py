"""Flags of the command line from the dataclasses that hold what they set, so that no list of them stands twice."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.data import find_splits
from headgate.tasks.bench_task import BenchTask
from headgate.tasks.settings import Layers, Learning
from headgate.training import run_config
from headgate.training.fields import Field, fields_of, switches_of
from headgate.training.preparing import guess
from headgate.training.run_config import RunConfig, find_task

NONE = "none"


def with_settings(
    function: Callable[..., int], given: Sequence[str], without: Sequence[str] = ()
) -> Callable[..., int]:
    """A verb's function whose last parameter, `settings`, is replaced by a flag for everything that can be set.

    What can be set hangs on the task and the cell, which are looked for among the words that were given: the task by
    --task, or by the data or the run.

    Args:
        function: takes `settings`, a dict of what was given.
        given: the command's words.
        without: settings that the verb has flags of its own for.
    """
    task, cell = _asked(given)
    known = [] if task is None else fields_of(task.Options)
    known += fields_of(Layers) + fields_of(Learning)
    known += switches_of(cell or (task.layers if task is not None else Layers()).cell)
    defaults = {} if task is None else vars(task.layers) | vars(task.learning)
    kept = {one.name: one for one in known if one.name not in without}
    return _with(function, kept, defaults)


def with_later(function: Callable[..., int], given: Sequence[str], verb: str) -> Callable[..., int]:
    """As `with_settings`, with flags for what a verb can change of a trained model; its task hangs on the run."""
    task, _ = _asked(given)
    known = [] if task is None else [one for one in fields_of(task.Options) if verb in one.later]
    return _with(function, {one.name: one for one in known}, dict.fromkeys((one.name for one in known), "as trained"))


def _with(function: Callable[..., int], kept: Mapping[str, Field], defaults: Mapping[str, Any]) -> Callable[..., int]:
    own = [p for p in inspect.signature(function, eval_str=True).parameters.values() if p.name != "settings"]

    @functools.wraps(function)
    def command(**words: Any) -> int:
        settings = {name: value for name in kept if (value := words.pop(name)) is not None}
        return function(**words, settings={name: None if v == NONE else v for name, v in settings.items()})

    flags = [_flag(one, defaults.get(one.name, one.default)) for one in kept.values()]
    keywords = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    command.__signature__ = inspect.Signature([*keywords, *flags])
    command.__annotations__ = {}
    return command


def _flag(field: Field, default: Any) -> inspect.Parameter:
    dashed = field.name.replace("_", "-")
    shown = NONE if default is None else ",".join(map(str, default)) if field.many else str(default).lower()
    if field.kind is bool and not field.optional:
        option = typer.Option(f"--{dashed}/--no-{dashed}", help=field.help, show_default=shown)
        kind: Any = bool | None
    else:
        words = "|".join(map(str, field.choices)) or {int: "INTEGER", float: "NUMBER", str: "TEXT"}[field.kind]
        metavar = f"{words},..." if field.many else words
        parser = functools.partial(_parsed, field)
        option = typer.Option(f"--{dashed}", help=field.help, show_default=shown, parser=parser, metavar=metavar)
        kind = str | None
    annotation = Annotated[kind, option]
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _parsed(field: Field, text: str) -> Any:
    """A value from a word.

    Raises:
        typer.BadParameter: it is none of the field's.
    """
    if field.optional and text == NONE:
        return NONE
    try:
        return tuple(_one(field, part) for part in text.split(",")) if field.many else _one(field, text)
    except ValueError:
        kind = {bool: "yes or no", int: "a whole number", float: "a number", str: "a word"}[field.kind]
        wanted = f"one of {', '.join(map(str, field.choices))}" if field.choices else kind
        raise typer.BadParameter(f"{text!r} is not {wanted}.") from None


def _one(field: Field, text: str) -> Any:
    value = {"yes": True, "no": False}[text] if field.kind is bool and text in ("yes", "no") else field.kind(text)
    if field.choices and value not in field.choices:
        raise ValueError(text)
    return value


def _asked(given: Sequence[str]) -> tuple[BenchTask | None, str | None]:
    """The task and the cell that the words speak of, as far as can be told; the verb says what is wrong with them."""
    name, cell = _word(given, "--task"), _word(given, "--cell")
    try:
        if name is not None:
            return find_task(name), _known(cell)
        # Words that follow a flag may be its value, unless nothing else is a file or a folder.
        places = [word for before, word in itertools.pairwise(given) if not before.startswith("-")]
        path = next((Path(word) for word in [*places, *given[1:]] if Path(word).exists()), None)
        if path is None:
            return None, _known(cell)
        if (path / run_config.CONFIG).is_file():
            config = RunConfig.load(path)
            return find_task(config.task), _known(cell) or config.chosen.layers.cell
        return guess(find_splits(path).train[0])[0], _known(cell)
    except (ValueError, OSError):
        return None, _known(cell)


def _known(cell: str | None) -> str | None:
    """A cell's name if there is such a cell; the verb refuses it otherwise."""
    try:
        switches_of(cell or Layers().cell)
        return cell
    except Exception:  # a user's own file may raise anything at all
        return None


def _word(given: Sequence[str], flag: str) -> str | None:
    """The value of a flag."""
    for place, word in enumerate(given):
        if word == flag and place + 1 < len(given):
            return given[place + 1]
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return None
