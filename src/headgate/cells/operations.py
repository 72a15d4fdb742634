"""The functions an equation may use, beside + - * / and whole powers.

Each is a single name whose meaning follows the type of its argument: the reference registers NumPy, the eager
engine torch, the tracer its symbols. So a cell's file needs none of them to be read or imported.
"""

from __future__ import annotations

import math
from functools import singledispatch
from typing import Any, NoReturn


def _unknown(name: str, value: object) -> NoReturn:
    raise TypeError(
        f"{name}: got a value of type {type(value).__name__}, but it works on NumPy arrays, torch tensors, numbers "
        "and traced symbols; import the engine or reference that brings the type in."
    )


@singledispatch
def sigmoid(value: Any) -> Any:
    """1 / (1 + exp(-value)), in (0, 1): how far a gate is open."""
    _unknown("sigmoid", value)


@singledispatch
def tanh(value: Any) -> Any:
    """Hyperbolic tangent, in (-1, 1)."""
    _unknown("tanh", value)


@singledispatch
def relu(value: Any) -> Any:
    """max(value, 0)."""
    _unknown("relu", value)


@singledispatch
def exp(value: Any) -> Any:
    """Exponential."""
    _unknown("exp", value)


@singledispatch
def log(value: Any) -> Any:
    """Natural logarithm."""
    _unknown("log", value)


@singledispatch
def sqrt(value: Any) -> Any:
    """Square root."""
    _unknown("sqrt", value)


@singledispatch
def positive(value: Any) -> Any:
    """1 where value > 0, else 0: the derivative of relu."""
    _unknown("positive", value)


@singledispatch
def mean(first: Any, *others: Any) -> Any:
    """The joint mean over the units of one or several equally long vectors: one value a row, [B, 1], to be used with
    vectors of that length.

    It is the mean of the vectors' own means, so a value that is the same for all units stands for itself.
    """
    _unknown("mean", first)


def identity(value: Any) -> Any:
    """The value itself: an activation switched off."""
    return value


FUNCTIONS = {f.__name__: f for f in (sigmoid, tanh, relu, exp, log, sqrt, positive)}

_ON_NUMBERS = {
    sigmoid: lambda v: 0.5 * (1.0 + math.tanh(0.5 * v)),
    tanh: math.tanh,
    relu: lambda v: max(v, 0.0),
    exp: math.exp,
    log: math.log,
    sqrt: math.sqrt,
    positive: lambda v: float(v > 0),
}
for _function, _on_numbers in _ON_NUMBERS.items():
    for _type in (int, float):
        _function.register(_type)(_on_numbers)


def _mean_of_numbers(first: float, *others: float) -> float:
    """A number is a vector of one unit."""
    for other in others:
        if not isinstance(other, (int, float)):
            raise TypeError(f"mean: a number stands beside a {type(other).__name__}; give vectors, or numbers alone.")
    return (first + sum(others)) / (1 + len(others))


for _type in (int, float):
    mean.register(_type)(_mean_of_numbers)
