"""JAX: a compiled lax.scan over the steps, as its users write it, the input's product for all steps before it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.peers import Contender
from benchmarks.problem import Problem
from benchmarks.workloads import STEP, Workload

# Ours runs on the CPU, whatever else is there.
jax.config.update("jax_platforms", "cpu")

WORDS = "JAX lax.scan"
VERSION = jax.__version__

Weights = dict[str, Any]


def lstm(w: Weights, x: Any) -> Any:
    """Outputs [T, B, H]."""
    parts = x @ w["weight_ih"].T + (w["bias_ih"] + w["bias_hh"])

    def step(state: Any, part: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(part + h @ w["weight_hh"].T, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zeros = jnp.zeros((x.shape[1], w["weight_hh"].shape[1]), x.dtype)
    return lax.scan(step, (zeros, zeros), parts)[1]


def gru(w: Weights, x: Any) -> Any:
    """Outputs [T, B, H]."""
    parts = x @ w["weight_ih"].T + w["bias_ih"]

    def step(h: Any, part: Any) -> Any:
        x_r, x_z, x_n = jnp.split(part, 3, -1)
        r, z, n = jnp.split(h @ w["weight_hh"].T + w["bias_hh"], 3, -1)
        z, n = jax.nn.sigmoid(x_z + z), jnp.tanh(x_n + jax.nn.sigmoid(x_r + r) * n)
        h = (1.0 - z) * n + z * h
        return h, h

    return lax.scan(step, jnp.zeros((x.shape[1], w["weight_hh"].shape[1]), x.dtype), parts)[1]


LAYERS = {"lstm": lstm, "gru": gru}


def refusal(workload: Workload) -> str | None:
    """Why no scan was written for this, or None."""
    if workload.cell not in LAYERS or workload.options or workload.lengths or workload.mode == STEP:
        return "no scan was written for this"
    return "JAX is run in float32 here" if workload.dtype != "float32" else None


def prepare(problem: Problem, threads: int) -> Contender:
    """The scan, compiled by its first call. It takes as many threads as the process may use cores."""
    layer, trains = LAYERS[problem.workload.cell], problem.workload.trains
    weights = {name: jnp.asarray(value.numpy()) for name, value in problem.weights.items()}
    x, upstream = jnp.asarray(problem.x.numpy()), jnp.asarray(problem.upstream.numpy())

    @jax.jit
    def both(w: Weights, x: Any, upstream: Any) -> Any:
        output, backward = jax.vjp(layer, w, x)
        return output, *backward(upstream)

    forward = jax.jit(layer)

    def run() -> Any:
        return jax.block_until_ready(both(weights, x, upstream) if trains else (forward(weights, x),))

    def named(results: Any) -> dict[str, np.ndarray]:
        found = {"output": results[0]}
        if trains:
            found |= {"d_x": results[2], **{f"d_{name}": value for name, value in results[1].items()}}
        return {name: np.asarray(value) for name, value in found.items()}

    return Contender(run, named)
