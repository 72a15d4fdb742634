"""Records with arrows, made up: a small random adjoint, by logarithms, so that ten thousand steps are no matter."""

from __future__ import annotations

import numpy as np

from headgate.inspection.record import Record

CELLS = {
    "LSTM": {"memory": "c", "gates": ["i", "f", "g", "o"], "keeps": "f", "candidates": ["g"]},
    "GRU": {"memory": "h", "gates": ["r", "z", "n"], "keeps": "z", "candidates": ["n"]},
    "RNN": {"memory": "h", "gates": [], "keeps": None, "candidates": [], "products": ["h"]},
    "Coupled": {
        "memory": "c", "gates": ["i", "f", "g", "o"], "keeps": "f", "candidates": ["g"], "products": ["i", "g", "o"]
    },
    "NoForget": {"memory": "c", "gates": ["i", "g", "o"], "keeps": None, "candidates": ["g"], "keep": 1.0},
    "Own": {"memory": "m", "gates": ["alpha", "beta", "k"], "keeps": "alpha", "candidates": ["k"]},
}
WIDTH = 6
ALONE = ("shown_rows", "earlier_sources")


class Made:
    """A record to be: what the highway keeps, and how strong each matrix path is."""

    def __init__(
        self, cell="LSTM", steps=60, seed=0, keep=0.93, strength=0.12, every=None, units=False, alone=False, **facts
    ):
        about = CELLS[cell]
        random = np.random.default_rng(seed)
        self.cell, self.about, self.steps, self.facts, self.every = cell, about, steps, facts, every
        self.units, self.alone = units, alone
        self.settings = {"keep": keep, "strength": strength}
        self.products = about.get("products", about["gates"])
        keep = about.get("keep", keep if about["keeps"] else None)
        wander = np.cumsum(random.normal(0, 0.25, steps)) * 0.97 ** np.arange(steps)[::-1]
        closed = np.where(random.random(steps) < 0.04, -2.5, 0.0) if about["keeps"] else 0.0
        logit = np.log(keep / (1 - keep)) + 0.4 * np.sin(np.arange(steps) / 5) + closed if about["keeps"] else None
        self.keep = 1 / (1 + np.exp(-logit)) if about["keeps"] else (np.full(steps, keep) if keep else None)
        swing = 1 + 0.5 * np.tanh(wander)
        size = strength * swing[:, None, None] / WIDTH**0.5
        self.matrices = {
            name: (0.5 + k / 2) * size * random.normal(0, 1, (steps, WIDTH, WIDTH))
            for k, name in enumerate(self.products)
        }
        if keep is None:
            turned = np.linalg.qr(random.normal(size=(WIDTH, WIDTH)))[0]
            self.matrices = {name: np.broadcast_to(strength * turned, (steps, WIDTH, WIDTH)) for name in self.products}
        self.source = random.normal(size=WIDTH)
        self.gates = {name: 0.5 + 0.3 * np.sin(np.arange(steps) / (3 + k)) for k, name in enumerate(about["gates"])}
        if about["keeps"]:
            self.gates[about["keeps"]] = self.keep
        for name in about["candidates"]:
            self.gates[name] = 0.1 * np.sin(np.arange(steps))

    def adjoint(self, cut=None):
        """log10 of the total's norm by step, and the parts (scaled with it) by path, [T, path, WIDTH]."""
        paths = self.paths
        norm, parts = np.full(self.steps, np.nan), np.zeros((self.steps, len(paths), WIDTH))
        carried, log = self.source, 0.0
        parts[-1, -1], norm[-1] = self.source, np.log10(np.linalg.norm(self.source))
        for t in range(self.steps - 2, -1, -1):
            for k, path in enumerate(paths[:-1]):
                if path == cut:
                    continue
                factor = self.keep[t + 1] * np.eye(WIDTH) if path == "highway" else self.matrices[path][t + 1]
                parts[t, k] = factor @ carried
            total = parts[t].sum(0)
            length = np.linalg.norm(total)
            norm[t], carried = log + np.log10(length), total / length
            parts[t] /= length
            log = norm[t]
        return norm, parts

    @property
    def paths(self):
        return (["highway"] if self.keep is not None else []) + list(self.products) + ["readout"]

    def record(self, name="l0") -> Record:
        norm, parts = self.adjoint()
        total = parts.sum(1)
        lengths = np.linalg.norm(parts, axis=-1)
        total_length = np.linalg.norm(total, axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            arrow = np.log10(lengths / total_length[:, None]) + norm[:, None]
            share = (parts * total[:, None]).sum(-1) / total_length[:, None] ** 2
            cosine = share * total_length[:, None] / lengths
        arrow[~np.isfinite(arrow)] = np.nan
        cuts = [path for path in self.paths if path != "readout"]
        local = np.full(self.steps, np.nan)
        local[self.steps - 1 :: -self.every if self.every else -self.steps] = -1.0
        arrays = {
            "arrow_norm": arrow.T,
            "arrow_share": np.where(np.isnan(arrow), 0.0, share).T,
            "arrow_cosine": cosine.T,
            "gradient_norm": norm,
            "cancellation": lengths.sum(1) / total_length,
            "local_gradient": local,
            "gate_mean": np.array([self.gates[g] for g in self.about["gates"]]).reshape(-1, self.steps),
        }
        if len(cuts) > 1:
            arrays["cut_gradient"] = np.array([self.adjoint(cut)[0] for cut in cuts])
        if self.keep is not None:
            arrays["keep_mean"] = self.keep
        if self.units:
            arrays |= self.by_unit(norm, parts)
        arrays |= self.by_themselves() if self.alone else {}
        if self.facts.get("reverse"):
            # A Record is aligned with the input, which such a layer reads from its end.
            which = {name: arrays[name] for name in ("top_units", *ALONE) if name in arrays}
            arrays = {key: np.asarray(value)[..., ::-1] for key, value in arrays.items()} | which
        else:
            arrays |= self.provenance()
        facts = {
            "cell": self.cell,
            "label": self.cell,
            "memory": self.about["memory"],
            "gates": self.about["gates"],
            "gate_kinds": {g: "candidate" if g in self.about["candidates"] else "gate" for g in self.about["gates"]},
            "keeps": self.about["keeps"],
            "paths": self.paths,
            "cuts": cuts if len(cuts) > 1 else [],
            "hidden_size": 64,
            "steps": self.steps,
            "rows": 16,
            "dtype": "float32",
            **self.facts,
        }
        return Record(name, facts, {key: np.asarray(value) for key, value in arrays.items()})

    def by_unit(self, norm, parts):
        """The same of all units one by one, from the arrows themselves; the factor of each is a little its own."""
        total = parts.sum(1)
        order = np.argsort(-(total**2).sum(0))
        with np.errstate(divide="ignore"):
            whole, each = (np.log10(np.abs(v[..., order])) for v in (total, parts))
        shares = (parts * total[:, None] / (total**2).sum(-1)[:, None, None])[..., order]
        found = {
            "top_units": order,
            "unit_gradient": (whole + norm[:, None]).T,
            "unit_arrow_norm": np.where(np.isfinite(each), each + norm[:, None, None], np.nan).T,
            "unit_arrow_share": shares.T,
        }
        # At the source the parts are not divided by their length.
        found["unit_gradient"][:, -1] = whole[-1]
        found["unit_arrow_norm"][:, -1, -1] = whole[-1]
        if self.keep is not None:
            found["unit_keep"] = self.keep ** np.linspace(0.5, 1.5, WIDTH)[:, None]
        return found

    def by_themselves(self):
        """Three sequences, the last of two thirds of the steps, and two earlier losses: each made up by itself."""
        shorter = [self.steps, self.steps, 2 * self.steps // 3]
        rows = [self.other(seed, steps) for seed, steps in zip((11, 12, 13), shorter, strict=True)]
        losses = [self.other(0, self.steps // 2), self.other(0, self.steps // 4)]
        named = {"gradient": "gradient_norm", "arrow_norm": "arrow_norm", "arrow_share": "arrow_share"}
        gates = {"gate_mean": "gate_mean", "local_gradient": "local_gradient", "keep_mean": "keep_mean"}
        found = {f"row_{key}": self.stacked(rows, name) for key, name in (named | gates).items() if name in rows[0]}
        found |= {f"earlier_{key}": self.stacked(losses, name) for key, name in named.items()}
        return found | dict(zip(ALONE, (np.array([0, 1, 3]), np.array([1, 3])), strict=True))

    def other(self, seed, steps):
        return Made(self.cell, steps, seed, every=self.every, **self.settings).record().arrays

    def stacked(self, each, name):
        """Side by side, and nothing where one has ended."""
        missing = [self.steps - arrays[name].shape[-1] for arrays in each]
        wide = [[(0, 0)] * (arrays[name].ndim - 1) + [(0, m)] for arrays, m in zip(each, missing, strict=True)]
        both = zip(each, wide, strict=True)
        return np.stack([np.pad(arrays[name], pad, constant_values=np.nan) for arrays, pad in both])

    def provenance(self):
        """Content of the memory by when it was written, by pieces of time; nothing without a highway."""
        if self.keep is None:
            return {}
        count = min(self.steps, 128)
        bins = np.arange(count) * self.steps // count
        writes = self.gates.get("i", 1 - self.keep)
        log = np.concatenate([[0.0], np.cumsum(np.log10(self.keep))])
        table = np.full((count, count), np.nan)
        for column, begin in enumerate(np.append(bins[1:], self.steps) - 1):
            left = np.log10(writes[: begin + 1]) + log[begin + 1] - log[1 : begin + 2]
            weight = np.add.reduceat(10.0 ** (left - left.max()), bins[: column + 1])
            with np.errstate(divide="ignore"):
                table[: column + 1, column] = np.maximum(np.log10(weight / weight.sum()), -30)
        return {"provenance": table, "bins": bins}


def record(cell="LSTM", steps=60, name="l0", **settings) -> Record:
    """A made-up Record with everything the picture can show."""
    return Made(cell, steps, **settings).record(name)
