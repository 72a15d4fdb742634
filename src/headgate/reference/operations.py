"""What the functions of an equation mean on NumPy arrays, real or complex (for complex-step differences)."""

import numpy as np

from headgate.cells import operations

_ON_ARRAYS = {
    "sigmoid": lambda v: 0.5 * (1.0 + np.tanh(0.5 * v)),
    "tanh": np.tanh,
    "relu": lambda v: np.where(np.real(v) > 0, v, 0.0),
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "positive": lambda v: (np.real(v) > 0).astype(np.float64),
}


def _mean(first: np.ndarray, *others: np.ndarray) -> np.ndarray:
    """The vectors' own means, kept as a last axis of one."""
    means = [np.mean(vector, axis=-1, keepdims=True) for vector in (first, *others)]
    return sum(means) / len(means)


for _type in (np.ndarray, np.generic):
    operations.mean.register(_type)(_mean)
for _name, _function in _ON_ARRAYS.items():
    for _type in (np.ndarray, np.generic):
        operations.FUNCTIONS[_name].register(_type)(_function)
