"""What can be set, read from the dataclasses that hold it: names, kinds, defaults and the line that explains each."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union

from headgate import cells
from headgate.nn import Recurrent
from headgate.tasks.bench_task import BenchTask
from headgate.tasks.settings import Layers, Learning

SWITCHES = "switches"
# Recurrent's own keywords that a user sets by name, as a cell's switches.
_START = ("learnable_state", "forget_bias", "chrono", "orthogonal", "layer_norm", "zoneout")


@dataclass(frozen=True)
class Field:
    """One setting.

    Attributes:
        name: as in Python.
        kind: bool, int, float or str.
        default: its value where nothing is said.
        help: a line.
        optional: whether None is a value.
        many: whether it is a tuple of its kind.
        choices: what it may be; empty for anything of its kind.
        later: verbs that can be given another value than training was.
    """

    name: str
    kind: type
    default: Any
    help: str = ""
    optional: bool = False
    many: bool = False
    choices: tuple[Any, ...] = ()
    later: tuple[str, ...] = ()

    def value(self, given: Any, who: str) -> Any:
        """A value as the dataclass wants it: whole numbers as floats where those are meant, lists as tuples.

        Raises:
            ValueError: of another kind, or none of the choices.
        """
        if given is None:
            if self.optional:
                return None
            raise ValueError(f"{who}: {self.name} is missing; {self._wanted()} is needed.")
        if self.many:
            if isinstance(given, (str, bytes)) or not hasattr(given, "__iter__"):
                raise ValueError(f"{who}: {self.name}={given!r}, but {self._wanted()} is needed.")
            return tuple(self._one(value, who) for value in given)
        return self._one(given, who)

    def _one(self, given: Any, who: str) -> Any:
        if self.kind is float and type(given) is int:
            given = float(given)
        if type(given) is not self.kind or (self.choices and given not in self.choices):
            raise ValueError(f"{who}: {self.name}={given!r}, but {self._wanted()} is needed.")
        return given

    def _wanted(self) -> str:
        if self.choices:
            return "one of " + ", ".join(map(repr, self.choices))
        words = {bool: "True or False", int: "a whole number", float: "a number", str: "a string"}[self.kind]
        return f"a list, each {words}," if self.many else words


def fields_of(owner: type) -> list[Field]:
    """The settings of a dataclass; those that hold anything (`switches`) are left out.

    A field's line is in its metadata's "help", else in the docstring's list of attributes.

    Raises:
        TypeError: a field has a kind that cannot be set from a command line.
    """
    kinds, lines = typing.get_type_hints(owner), _documented(owner)
    found = []
    for one in dataclasses.fields(owner):
        if one.name == SWITCHES:
            continue
        default = one.default if one.default_factory is dataclasses.MISSING else one.default_factory()
        line = one.metadata.get("help") or lines.get(one.name, "")
        later = one.metadata.get("later", ())
        found.append(dataclasses.replace(_field(one.name, kinds[one.name], default, line, owner), later=later))
    return found


def switches_of(cell: str) -> list[Field]:
    """The switches of a cell and its layer, but for those that a command line cannot say.

    Raises:
        KeyError, ValueError: no such cell.
    """
    found = cells.load(cell) if ":" in cell else cells.get(cell)
    own = [
        Field(name, type(value), value, line)
        for name, value in found.switches.items()
        if isinstance(value, (bool, int, float, str)) and name != "projection"
        for line in [_documented(type(found)).get(name, "")]
    ]
    keywords = inspect.signature(Recurrent.__init__).parameters
    lines = _documented(Recurrent)
    start = []
    for name in _START:
        default = keywords[name].default
        kind = bool if isinstance(default, bool) else float
        start.append(Field(name, kind, default, lines.get(name, ""), optional=default is None))
    return own + start


def build(owner: type, given: Mapping[str, Any], who: str) -> Any:
    """A dataclass from values by name; the rest keeps its defaults.

    Raises:
        ValueError: an unknown name, or a value of another kind.
    """
    known = {one.name: one for one in fields_of(owner)}
    for name in given:
        if name not in known:
            raise ValueError(f"{who} has no setting {name!r}{nearest(name, known)}")
    return owner(**{name: known[name].value(value, who) for name, value in given.items()})


def changed(options: Any, given: Mapping[str, Any], verb: str) -> Any:
    """A trained model's options with some changed that are no part of what it learned.

    Raises:
        ValueError: one that cannot be changed any more, or not by this verb; a value of another kind.
    """
    known = {one.name: one for one in fields_of(type(options)) if verb in one.later}
    for name in given:
        if name not in known:
            some = ", ".join(known) or "nothing"
            raise ValueError(f"{verb} cannot change {name!r} of a trained model; of this one it can change {some}.")
    for own in dataclasses.fields(options):
        other, values = own.metadata.get("only") or ("", ())
        if own.name in given and other and getattr(options, other) not in values:
            raise ValueError(
                f"{verb} has no use for {own.name!r}, since this model was trained with {other} "
                f"{getattr(options, other)!r}; it needs {' or '.join(values)}."
            )
    return dataclasses.replace(options, **{name: known[name].value(value, verb) for name, value in given.items()})


def nearest(name: str, known: Any) -> str:
    """The end of a sentence about an unknown name: what was probably meant, or all there are."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(known)}."


@dataclass(frozen=True)
class Chosen:
    """Everything that can be set about a run's task, layers and learning."""

    options: Any
    layers: Layers
    learning: Learning


def sort_out(
    task: BenchTask, given: Mapping[str, Any], defaults: tuple[Layers, Learning] | None = None
) -> Chosen:
    """Settings by name, each to where it belongs: the task's options, its layers, their switches, its learning.

    What is not given is as in `defaults`, which are the task's own unless it suits them to the data.

    Raises:
        ValueError: a name that nobody knows, or a value of another kind.
        KeyError: no such cell.
    """
    rest, (layers, learning) = dict(given), defaults or (task.layers, task.learning)
    parts: dict[type, dict[str, Any]] = {}
    for owner in (task.Options, Layers, Learning):
        known = {one.name: one for one in fields_of(owner)}
        parts[owner] = {name: known[name].value(rest.pop(name), task.name) for name in list(rest) if name in known}
    cell = parts[Layers].get("cell", layers.cell)
    # Another cell than the task's own begins without the task's switches, which it may not have.
    kept = dict(layers.switches) if cell == layers.cell else {}
    known = [one.name for one in switches_of(cell)]
    found = cells.load(cell) if ":" in cell else cells.get(cell)
    for name in rest:
        if name not in known and name not in found.switches:
            everything = [*known, *(one.name for owner in parts for one in fields_of(owner))]
            raise ValueError(f"task {task.name} with cell {cell} has no setting {name!r}{nearest(name, everything)}")
    layers = dataclasses.replace(layers, **parts[Layers], switches=kept | rest)
    learning = dataclasses.replace(learning, **parts[Learning])
    _check(learning)
    return Chosen(task.Options(**parts[task.Options]), layers, learning)


def _check(learning: Learning) -> None:
    """Refuse what cannot be meant.

    Raises:
        ValueError: a number out of range, or no such optimiser, schedule or precision.
    """
    least = {"epochs": 1, "batch_size": 1, "warmup": 0, "patience": 1, "seed": 0, "clip": 0, "weight_decay": 0}
    for name, bound in least.items():
        if not getattr(learning, name) >= bound:
            raise ValueError(f"{name}={getattr(learning, name)!r}, but at least {bound} is needed.")
    if learning.rate is not None and not 0 < learning.rate < float("inf"):
        raise ValueError(f"rate={learning.rate!r}, but a number above 0 is needed.")
    if not 0 <= learning.holdout < 0.5:
        raise ValueError(f"holdout={learning.holdout!r}, but a share from 0 to below 0.5 is needed.")
    choices = {"optimiser": ("adam", "adamw", "sgd"), "schedule": ("constant", "cosine", "plateau")}
    for name, allowed in (choices | {"precision": ("32", "bf16")}).items():
        if getattr(learning, name) not in allowed:
            raise ValueError(f"{name}={getattr(learning, name)!r}, but one of {', '.join(allowed)} is needed.")


def _field(name: str, kind: Any, default: Any, line: str, owner: type) -> Field:
    optional = many = False
    choices: tuple[Any, ...] = ()
    if typing.get_origin(kind) in (Union, types.UnionType):
        inside = [part for part in typing.get_args(kind) if part is not type(None)]
        optional, kind = True, inside[0]
    if typing.get_origin(kind) is tuple:
        many, kind = True, typing.get_args(kind)[0]
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        kind = type(choices[0])
    if kind not in (bool, int, float, str):
        raise TypeError(f"{owner.__name__}.{name} is a {kind}, which cannot be set from a command line.")
    return Field(name, kind, default, line, optional, many, choices)


def _documented(owner: type) -> dict[str, str]:
    """The lines of a docstring's list, by name: "name, other: what they are.", continued by deeper lines."""
    found: dict[str, str] = {}
    for names, text in re.findall(r"^ {4}([\w, ]+): (.*(?:\n {8}.*)*)", inspect.getdoc(owner) or "", re.MULTILINE):
        line = " ".join(text.split())
        for name in names.split(","):
            found.setdefault(name.strip(), line)
    return found
