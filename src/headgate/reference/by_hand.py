"""Back-propagation through time for the classical three, derived by hand: a witness that shares no code with the graph.

Each takes a case without lengths, resets or reversal and returns the gradients of its loss.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from headgate.cells import Cell, get
from headgate.reference.case import Arrays, Case


def _sigmoid(v: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-v))


def _collect(case: Case, da: np.ndarray, db: np.ndarray, h: np.ndarray) -> Arrays:
    """Weight gradients from those of W x + b (`da`) and of U h + b' (`db`), both [T, B, G H], and h_{t-1}."""
    found = {
        "input": da @ case.weights["weight_ih"],
        "weight_ih": np.einsum("tbg,tbi->gi", da, case.input),
        "weight_hh": np.einsum("tbg,tbh->gh", db, h),
    }
    return found | {"bias_ih": da.sum((0, 1)), "bias_hh": db.sum((0, 1))}


def rnn_by_hand(case: Case) -> Arrays:
    """h = tanh(a): dL/da = (1 - h^2) dL/dh (Rumelhart, Hinton & Williams 1986)."""
    w, T = case.weights, len(case.input)
    h = [case.initial["h"]]
    for t in range(T):
        h.append(np.tanh(case.input[t] @ w["weight_ih"].T + w["bias_ih"] + h[-1] @ w["weight_hh"].T + w["bias_hh"]))
    dh = case.cotangents["final_h"]
    da = np.empty((T, *dh.shape))
    for t in reversed(range(T)):
        dh = dh + case.cotangents["output"][t]
        da[t] = dh * (1 - h[t + 1] ** 2)
        dh = da[t] @ w["weight_hh"]
    return _collect(case, da, da, np.stack(h[:-1])) | {"initial_h": dh}


def lstm_by_hand(case: Case) -> Arrays:
    """The full gradient of the LSTM with forget gate (Graves & Schmidhuber 2005, appendix A, less its peepholes)."""
    w, T, H = case.weights, len(case.input), case.initial["c"].shape[1]
    h, c, gates = [case.initial["h"]], [case.initial["c"]], []
    for t in range(T):
        a = case.input[t] @ w["weight_ih"].T + w["bias_ih"] + h[-1] @ w["weight_hh"].T + w["bias_hh"]
        i, f, o = _sigmoid(a[:, :H]), _sigmoid(a[:, H : 2 * H]), _sigmoid(a[:, 3 * H :])
        g = np.tanh(a[:, 2 * H : 3 * H])
        gates.append((i, f, g, o))
        c.append(f * c[-1] + i * g)
        h.append(o * np.tanh(c[-1]))
    dh, dc = case.cotangents["final_h"], case.cotangents["final_c"]
    da = np.empty((T, len(dh), 4 * H))
    for t in reversed(range(T)):
        i, f, g, o = gates[t]
        dh = dh + case.cotangents["output"][t]
        squashed = np.tanh(c[t + 1])
        dc = dc + dh * o * (1 - squashed**2)
        da[t, :, :H] = dc * g * i * (1 - i)
        da[t, :, H : 2 * H] = dc * c[t] * f * (1 - f)
        da[t, :, 2 * H : 3 * H] = dc * i * (1 - g**2)
        da[t, :, 3 * H :] = dh * squashed * o * (1 - o)
        dh, dc = da[t] @ w["weight_hh"], dc * f
    return _collect(case, da, da, np.stack(h[:-1])) | {"initial_h": dh, "initial_c": dc}


def gru_by_hand(case: Case) -> Arrays:
    """The GRU with its reset after the product: r multiplies U_n h + b'_n, so that part has a gradient of its own."""
    w, T, H = case.weights, len(case.input), case.initial["h"].shape[1]
    h, kept = [case.initial["h"]], []
    for t in range(T):
        a = case.input[t] @ w["weight_ih"].T + w["bias_ih"]
        b = h[-1] @ w["weight_hh"].T + w["bias_hh"]
        r, z = _sigmoid(a[:, :H] + b[:, :H]), _sigmoid(a[:, H : 2 * H] + b[:, H : 2 * H])
        q = b[:, 2 * H :]
        n = np.tanh(a[:, 2 * H :] + r * q)
        kept.append((r, z, n, q))
        h.append((1 - z) * n + z * h[-1])
    dh = case.cotangents["final_h"]
    da = np.empty((T, len(dh), 3 * H))
    db = np.empty_like(da)
    for t in reversed(range(T)):
        r, z, n, q = kept[t]
        dh = dh + case.cotangents["output"][t]
        dn = dh * (1 - z) * (1 - n**2)
        da[t, :, :H] = dn * q * r * (1 - r)
        da[t, :, H : 2 * H] = dh * (h[t] - n) * z * (1 - z)
        da[t, :, 2 * H :] = dn
        db[t] = da[t]
        db[t, :, 2 * H :] = dn * r
        dh = dh * z + db[t] @ w["weight_hh"]
    return _collect(case, da, db, np.stack(h[:-1])) | {"initial_h": dh}


BY_HAND: dict[Cell, Callable[[Case], Arrays]] = {
    get("rnn"): rnn_by_hand,
    get("lstm"): lstm_by_hand,
    get("gru"): gru_by_hand,
}
