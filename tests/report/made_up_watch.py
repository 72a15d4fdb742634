"""Records made up from a simple model of a memory, so that what the watch's page says can be set against it.

Units keep a factor exp(-1/tau) a step, with time scales tau from a few steps to `longest`; the gradient is the sum of
what they keep and of a part through the gates that fades by `rate` a step.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from headgate.inspection import Record

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&</title>]]>-->"
KINDS = ["mean", "time mean", "shuffle rows", "shuffle time", "zero", "one", "freeze"]
FILMED = (0, 100, 200, 400, 800, 1200, 1500, 2000)
CELLS: dict[str, dict[str, Any]] = {
    "LSTM": {
        "memory": "c", "gates": ["i", "f", "g", "o"], "keeps": "f",
        "paths": ["highway", "i", "f", "g", "o", "readout"], "cuts": ["highway", "i", "f", "g", "o"],
        "gate_kinds": {"i": "gate", "f": "gate", "g": "candidate", "o": "gate"},
        "equations": "f_t = \\sigma\\left(W_f x_t + U_f h_{t-1}\\right)\nc_t = f_t \\odot c_{t-1} + i_t \\odot g_t",
    },
    "GRU": {
        "memory": "h", "gates": ["r", "z", "n"], "keeps": "z",
        "paths": ["highway", "r", "z", "n", "readout"], "cuts": ["highway", "r", "z", "n"],
        "gate_kinds": {"r": "gate", "z": "gate", "n": "candidate"},
        "equations": "h_t = \\left(1 - z_t\\right) \\odot n_t + z_t \\odot h_{t-1}",
    },
    "RNN": {
        "memory": "h", "gates": [], "keeps": None, "paths": ["h", "readout"], "cuts": ["h"], "gate_kinds": {},
        "equations": "h_t = \\tanh\\left(W x_t + U h_{t-1} + b\\right)",
    },
}  # fmt: skip


def lags_of(steps: int) -> np.ndarray:
    """All lags up to 512, then log-spaced, as the measuring side chooses them."""
    near = np.arange(min(steps, 513))
    if steps <= 513:
        return near
    return np.unique(np.concatenate([near, np.geomspace(512, steps - 1, 120).round().astype(int)]))


def record(
    cell: str = "LSTM", *, steps: int = 60, hidden: int = 24, longest: float = 40.0, causes: bool = True,
    text: bool = False, film: bool = True, name: str = "", seed: int = 0, dtype: str = "float32", rate: float = 0.8,
) -> Record:  # fmt: skip
    """One layer's Record with everything in it, or without the costly parts (`causes`, `film`)."""
    rng = np.random.default_rng(seed)
    facts = {**CELLS[cell], "headgate": "0.1.0", "cell": cell, "label": cell, "hidden_size": hidden, "steps": steps}
    facts |= {"rows": 8, "reverse": False, "layer": 0, "training": False, "dtype": dtype, "missing": {}}
    facts |= {"floor": {"float16": -4.21}.get(dtype, -37.93), "floor_subnormal": -44.85}
    facts |= {"needs_lag": round(steps * 0.75), "train_length": steps, "tbptt": steps // 2}
    lags = lags_of(steps)
    gated = bool(facts["gates"])
    tau = np.sort(np.geomspace(1.2, longest, hidden) * rng.uniform(0.8, 1.25, hidden))[::-1] if gated else None
    rng.shuffle(tau) if gated else None
    arrays = {"lengths": np.full(8, steps), "lags": lags, **_profiles(facts, lags, tau, rate, rng)}
    arrays |= _by_time(facts, steps, rng) | _dynamics(hidden, tau, steps, rng)
    if gated:
        arrays |= _gates(facts, tau, steps, lags, rng) | _units(facts, arrays, tau, steps)
    arrays |= _alone(facts, arrays, steps)
    if causes:
        arrays |= _causes(facts, tau, hidden, steps, rng)
    if film:
        arrays |= _film(lags, steps) | (_film_gates(arrays) if gated else {})
        facts["warnings"] = [{"step": 800, "name": "VANISHING", "text": "r(45) = 3e-9 while the loss stays"}]
    facts |= _words(facts, arrays, tau, steps, causes)
    if text:
        facts["text"] = [("the", "cell", "keeps", "what", "it", "was", "told")[k % 7] for k in range(steps)]
    return Record(name or f"{cell.lower()}.l0", facts, arrays)


def records() -> list[Record]:
    """Three layers of one small model."""
    return [
        record("LSTM", name="encoder.lstm.l0", text=True),
        record("GRU", name="encoder.gru.l0", seed=1, causes=False),
        record("RNN", name="head.rnn.l0", seed=2, rate=0.6),
    ]


def long() -> Record:
    """Ten thousand steps, two hundred units."""
    return record("LSTM", steps=10_000, hidden=200, longest=6000.0, rate=0.99, name="lstm.long", seed=3)


def bare(cell: str = "LSTM") -> Record:
    """What a forward pass alone leaves: no gradient, no causes; only the facts that must be there."""
    whole = record(cell, causes=False, film=False)
    needed = ("cell", "label", "equations", "memory", "gates", "paths", "hidden_size", "steps", "dtype")
    facts = {name: whole.facts[name] for name in needed}
    facts["missing"] = {"decay": "no backward pass ran while the watch was on"}
    return Record("lstm", facts, {"timescales": whole.arrays["timescales"]} if cell != "RNN" else {})


def hostile() -> Record:
    """Every word of it tries to leave its place."""
    made = record("LSTM", steps=20, hidden=8)
    facts = _spoil(made.facts, keep={"memory", "keeps", "dtype", "level", "unit", "headgate"})
    facts["text"] = [HOSTILE] * 20
    facts["missing"] = {"lyapunov": HOSTILE}
    arrays = {name: value for name, value in made.arrays.items() if name != "lyapunov"}
    return Record(HOSTILE, facts, arrays)


def _spoil(value: Any, keep: set[str], key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _spoil(inner, keep, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_spoil(inner, keep, key) for inner in value]
    return f"{value}{HOSTILE}" if isinstance(value, str) and key not in keep else value


def _keep(tau: np.ndarray | None, lags: np.ndarray) -> np.ndarray:
    """log10 of what a root mean square unit keeps over each lag."""
    if tau is None:
        return np.full(len(lags), -400.0)
    powers = -2.0 * lags[:, None] / tau
    top = powers.max(1, keepdims=True)
    return 0.5 * (top[:, 0] + np.log(np.exp(powers - top).mean(1))) / math.log(10)


def _profiles(facts, lags, tau, rate, rng) -> dict[str, np.ndarray]:
    highway, rest = _keep(tau, lags), lags * math.log10(rate) + np.where(lags > 0, -0.3, -4.0)
    if tau is None:
        rest = lags * math.log10(rate)
    total = np.logaddexp(highway * math.log(10), rest * math.log(10)) / math.log(10)
    total -= total[0]
    band = np.minimum(0.02 * lags + 0.02, 0.8)
    wiggle = 0.05 * np.sin(lags / 3.0) * (lags > 0)
    found = {
        "lag_profile": np.stack([total - band, total, total + band]) + wiggle,
        "source_profile": np.stack([total + 0.1 * k * (lags > 0) for k in range(min(16, facts["steps"]))]),
        "largest_entry": total - 1.3,
        "jacobian_norm": np.stack([total + 0.5, total + 0.7, total + 0.9]),
        "parameter_share": 1 - np.exp(-lags / max(4.0, lags[-1] / 8)),
        "truncation_cosine": 1 - 0.6 * np.exp(-lags / max(3.0, lags[-1] / 10)),
        "cut_profile": np.stack([total - (0.02 + 0.01 * k) * lags for k in range(len(facts["cuts"]))]),
    }
    if tau is None:
        return found | {"bound": lags * math.log10(0.95)}
    share = 10.0 ** (highway - total)
    return found | {"highway_profile": highway, "rest_profile": rest, "highway_share": share}


def _by_time(facts, steps, rng) -> dict[str, np.ndarray]:
    back = np.arange(steps)[::-1]
    paths = facts["paths"]
    weights = np.stack([np.cos(back / (3.0 + k)) * 0.3 + (1.2 if k == 0 else 0.1) for k in range(len(paths))])
    weights[-1] = np.where(back == 0, 30.0, 0.0)
    share = weights / weights.sum(0)
    bins = np.unique(np.linspace(0, steps - 1, min(steps, 200)).round().astype(int))
    norm = -back * 0.05
    sources = np.linspace(steps // 3, steps - 1, min(16, steps)).round().astype(int)
    distance = sources[:, None] - bins[None]
    seen = np.where(distance >= 0, -0.04 * np.minimum(distance, 200) + rng.normal(0, 0.2, distance.shape), np.nan)
    apart = bins[None] - bins[:, None]  # [written, held]
    return {
        "arrow_share": share, "arrow_norm": norm + np.log10(np.abs(share) + 1e-9), "arrow_cosine": np.tanh(share),
        "cancellation": np.abs(share).sum(0) + 0.2, "gradient_norm": norm,
        "cut_gradient": np.stack([norm - 0.1 * k for k in range(len(facts["cuts"]))]),
        "loss_gradient": norm * 0.1 + 0.5, "local_gradient": np.where(back == 0, 0.0, np.nan),
        "bins": bins, "sources": sources, "connectivity": seen,
        "pieces": bins[:128],
        "provenance": np.where(apart >= 0, -0.03 * np.minimum(apart, 250) - 0.5, np.nan)[:128, :128],
    }  # fmt: skip


def _gates(facts, tau, steps, lags, rng) -> dict[str, np.ndarray]:
    gates, hidden = facts["gates"], len(tau)
    keeps = gates.index(facts["keeps"])
    factor = np.exp(-1.0 / tau)
    edges = np.linspace(-9.5, 9.5, 61)
    middle = (edges[:-1] + edges[1:]) / 2
    centres = [2.0 if k == keeps else 0.0 for k in range(len(gates))]
    histogram = np.stack([np.exp(-0.5 * ((middle - centre) / 2.0) ** 2) for centre in centres])
    histogram /= histogram.sum(1, keepdims=True)
    kinds = [facts["gate_kinds"][name] for name in gates]
    histogram[[k == "candidate" for k in kinds]] = np.nan
    bins = len(np.unique(np.linspace(0, steps - 1, min(steps, 200)).round().astype(int)))
    level = rng.uniform(0.2, 0.8, (len(gates), hidden, 1))
    level[keeps, :, 0] = factor
    wave = np.sin(np.linspace(0, 12, bins))[None, None] * rng.uniform(0, 0.2, (len(gates), hidden, 1))
    score = np.clip(level + wave, 0.001, 0.999)
    score[[k == "candidate" for k in kinds]] = 2 * score[[k == "candidate" for k in kinds]] - 1
    low = rng.uniform(0, 0.5, (len(gates), hidden))
    return {
        "gate_mean": np.repeat(level.mean(1), steps, 1),
        "keep_mean": np.full(steps, float(np.exp(np.log(factor).mean()))),
        "logit_histogram": histogram, "logit_edges": edges, "saturated_low": low,
        "saturated_high": np.clip(1 - low - rng.uniform(0, 0.5, low.shape), 0, 1),
        "gate_deviation": rng.uniform(0.01, 2.0, low.shape), "gate_bias_only": np.clip(level[:, :, 0], 0.01, 0.995),
        "gate_trainability": rng.uniform(0, 0.25, low.shape), "gate_score": score, "timescales": tau,
        "open_enough": (tau > facts["needs_lag"]).astype(float),
        "survival": np.exp(-lags[None] / tau[:, None]), "resets": rng.uniform(0, 0.2, hidden),
        "co_resets": np.where(np.arange(steps) % 20 == 10, 0.6, 0.02),
        "state_score": np.sin(np.linspace(0, 9, bins))[None] * rng.normal(0, 1, (hidden, 1)),
        "readout_weight": rng.uniform(0.1, 2.0, hidden),
        # By the law of one linear unit, twice as sharp as alone.
        "sensitivity": 0.5 * np.log10((1 + factor**2) / (1 - factor**2) ** 3) + math.log10(2.0),
    }  # fmt: skip


def _dynamics(hidden, tau, steps, rng) -> dict[str, np.ndarray]:
    count = min(2 * hidden, 32)
    exponents = np.sort(-np.abs(rng.normal(0.1, 0.3, count)))[::-1]
    if tau is not None:
        exponents[: min(3, hidden)] = -1.0 / np.sort(tau)[::-1][:3]
    angle, size = rng.uniform(0, 2 * np.pi, (6, count)), np.sqrt(rng.uniform(0, 1, (6, count)))
    return {
        "lyapunov": exponents, "lyapunov_band": np.full(count, 0.02),
        "singular_values": np.stack([-np.arange(12) * 0.1 * k for k in (1, 2, 4)]),
        "singular_windows": np.array([1, 10, 40]),
        "eigenvalues_real": size * np.cos(angle), "eigenvalues_imaginary": size * np.sin(angle),
        "eigenvalue_steps": np.linspace(0, steps - 1, 6).round().astype(int),
    }  # fmt: skip


def _causes(facts, tau, hidden, steps, rng) -> dict[str, np.ndarray]:
    gates = facts["gates"]
    found = {}
    if gates:
        middle = rng.uniform(0, 1.1, (len(gates), len(KINDS), 1)) ** 2
        found["ablation"] = np.concatenate([middle - 0.08, middle, middle + 0.1], 2)
        # Sixteen sequences: the last loses all of it, and the first could not be tried.
        found["ablation_rows"] = np.concatenate([np.full((*middle.shape[:2], 1), np.nan), np.zeros_like(middle).repeat(
            14, 2), 15 * middle], 2)  # fmt: skip
        predicted = np.clip(tau / tau.max(), 0, 1) * 0.5
        middle = (predicted + rng.normal(0, 0.03, hidden))[:, None]
        kill = np.concatenate([middle - 0.04, middle, middle + 0.04], 1)
        kill[np.argsort(predicted)[hidden // 3 : 2 * hidden // 3]] = np.nan
        found |= {"kill": kill, "kill_predicted": predicted}
    kept = np.unique(np.geomspace(1, steps, 9).round().astype(int))
    loss = 0.4 * np.exp(-kept / 5.0)[:, None]
    return found | {"use_lags": kept, "use_loss": np.concatenate([0.8 * loss, loss, 1.2 * loss], 1)}


def _film(lags, steps) -> dict[str, np.ndarray]:
    moments = np.array(FILMED)
    factor = np.interp(moments, [0, 800, 1500, 2000], [0.4, 0.3, 0.02, 0.01])
    film = -factor[:, None] * lags[None] * 60.0 / steps
    return {"film_steps": moments, "film": film, "film_loss": np.interp(moments, [0, 900, 2000], [0.17, 0.15, 0.01])}


def _film_gates(arrays) -> dict[str, np.ndarray]:
    """Every gate half a logit further to the right at each look."""
    whole = np.nan_to_num(arrays["logit_histogram"])
    found = np.stack([np.roll(whole, 2 * k, 1) for k in range(len(FILMED))])
    found[:, ~np.isfinite(arrays["logit_histogram"]).all(1)] = np.nan
    return {"film_gates": found}


def _units(facts, arrays, tau, steps) -> dict[str, np.ndarray]:
    """The two longest-lived units: the first holds 60 % of the gradient, and all of that by the highway."""
    units, part = np.argsort(-tau)[:2], np.array([0.6, 0.3])
    norm = arrays["gradient_norm"] + 0.5 * np.log10(part)[:, None]
    share = np.zeros((2, len(facts["paths"]), steps))
    share[:, -1, -1] = part
    share[0, 0, :-1], share[1, 0, :-1], share[1, 1, :-1] = 0.6, 0.4, -0.1
    with np.errstate(divide="ignore"):
        arrow = norm[:, None] + np.log10(np.abs(share) / part[:, None, None])
    return {
        "top_units": units, "unit_gradient": norm, "unit_arrow_norm": np.where(np.isfinite(arrow), arrow, np.nan),
        "unit_arrow_share": share, "unit_keep": np.repeat(np.exp(-1.0 / tau[units])[:, None], steps, 1),
    }  # fmt: skip


def _alone(facts, arrays, steps) -> dict[str, np.ndarray]:
    """Two sequences of which the gradient is ten and a hundred times as large as the median, and a loss half way."""
    named = {"gradient": "gradient_norm", "arrow_norm": "arrow_norm", "local_gradient": "local_gradient"}
    found = {f"row_{key}": np.stack([arrays[name] + k for k in (1, 2)]) for key, name in named.items()}
    same = {"row_arrow_share": "arrow_share", "row_gate_mean": "gate_mean", "row_keep_mean": "keep_mean"}
    found |= {key: np.stack([arrays[name]] * 2) for key, name in same.items() if name in arrays}
    later = np.arange(steps) > steps // 2
    moved = {key: np.roll(arrays[name], steps // 2 + 1 - steps, -1) for key, name in named.items()}
    moved["arrow_share"] = np.roll(arrays["arrow_share"], steps // 2 + 1 - steps, -1)
    earlier = {f"earlier_{key}": np.where(later, np.nan, moved[key])[None] for key in moved if key != "local_gradient"}
    which = {"shown_rows": np.array([0, 2]), "earlier_sources": np.array([len(arrays["sources"]) // 2])}
    return found | earlier | which


def _words(facts, arrays, tau, steps, causes) -> dict[str, Any]:
    missing = {} if causes else {"ablation": "no loss was given to measure it by", "use": "no loss was given"}
    stored = {"missing": "this cell has no gate that keeps its memory"}
    if tau is not None:
        quantiles = {f"p{q}": float(np.quantile(tau, q / 100)) for q in (90, 50)}
        stored = {"max": float(tau.max()), **quantiles, "surviving": int((tau > facts["needs_lag"]).sum())}
    middle, lags = arrays["lag_profile"][1], arrays["lags"]
    reach = {f"1e-{k}": int(lags[np.flatnonzero(middle >= -k)[-1]]) for k in (3, 7)}
    used = {"lag": max(1, steps // 5), "at_least": False, "share": 0.01} if causes else {"missing": "no loss was given"}
    need, all_of_it = facts["needs_lag"], bool(reach["1e-3"] == lags[-1])
    at_need = middle[min(np.searchsorted(lags, need), len(lags) - 1)]
    verdict = {
        "name": "VANISHING", "level": "warn", "text": f"Hardly any gradient reaches lag {need}, which the task needs.",
        "number": f"r({need}) = 1e{at_need:.0f}", "rule": "r(N) < 1e-3 and loss not better than the baseline by 10%",
        "source": "AUTOTRAINER, Zhang et al. 2021",
    }  # fmt: skip
    good = {**verdict, "name": "WITHIN THE FORMAT", "level": "good", "text": "No gradient left the number format."}
    dead = {**verdict, "name": "TBPTT-BLIND", "level": "bad", "text": "Truncation cuts what the task needs."}
    note = {**verdict, "name": "CONSTANT GATE", "level": "note", "text": "Gate f of unit 3 hardly moves."}
    return {
        "missing": missing, "ablation_kinds": KINDS, "verdicts": [note, verdict, good, dead],
        "horizons": {"stored": stored, "trainable": {**reach, "dead": None, "at_least": all_of_it},
                     "used": used},
        "decay": {"rate": 0.93, "half_life": 9.6, "from": 5},
        "stable_rank": [7.5, 3.25, 1.5], "singular_exact": facts["hidden_size"] <= 64,
        "lyapunov": {"sum": -3.2, "closed_form": -3.2, "surviving": 3, "steps": 900},
        "loss": {"value": 0.012, "chance": 0.167, "rows": 64, "unit": "mean squared error"},
        "reset": {"low": 0.1, "middle": 0.2, "high": 0.3}, "parameter_lag_99": steps // 3, "truncation": 0.02,
        "triage": [
            {"unit": 7, "gate": "f", "verdict": "INTEGRATOR", "kill": 0.47, "timescale": 180.0},
            {"unit": 3, "gate": "f", "verdict": "DEAD", "kill": 0.001, "timescale": None},
        ] if facts["gates"] and causes else [],
    }  # fmt: skip
