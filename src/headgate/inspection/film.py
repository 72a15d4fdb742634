"""The horizon film: how far back the gradient reaches, and where the gates stand, over training (charts V3, V7)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from headgate.inspection.gates import LOGIT_EDGES
from headgate.inspection.glance import Glance, at_lags
from headgate.inspection.lags import lag_grid


class _Frame(NamedTuple):
    """One layer and direction at one look: of how many steps its sequences were, its profile [lag] and its gates'
    histograms [gate, N1]."""

    step: int
    loss: float
    steps: int
    profile: np.ndarray
    gates: np.ndarray


class Film:
    """Lag profiles and gate histograms of every layer and direction, look by look.

    Looks may see sequences of different lengths: a profile ends where its sequences do.
    """

    def __init__(self) -> None:
        self._looks: dict[str, list[_Frame]] = {}

    def add(self, step: int, loss: float, glance: Glance) -> None:
        """Take one picture.

        Args:
            step: of training.
            loss: there; NaN if unknown.
            glance: of the layer and direction.
        """
        steps = int(glance.lags[-1]) + 1
        frame = _Frame(step, loss, steps, glance.profile.astype(np.float32), glance.histograms())
        self._looks.setdefault(glance.name, []).append(frame)

    def names(self) -> list[str]:
        """Layers and directions that were seen."""
        return list(self._looks)

    def lags(self, name: str) -> np.ndarray:
        """The lags of the longest profile, [lag]."""
        return lag_grid(max(frame.steps for frame in self._of(name)))

    def arrays(self, name: str, lags: Sequence[int] | np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The film as a Record's arrays.

        Args:
            name: of a layer and direction.
            lags: at which; None for all that were seen.

        Returns:
            `film_steps` [N], `film` [N, lag] in log10, NaN where a look's sequences were not as long, `film_loss` [N],
            `film_gates` [N, gate, N1] with the `logit_edges` of its pieces; and, if no lags were given, `lags`.

        Raises:
            KeyError: nothing of that name was seen.
        """
        looks = self._of(name)
        wanted = self.lags(name) if lags is None else np.asarray(lags)
        film = np.stack([at_lags(lag_grid(frame.steps), frame.profile, wanted) for frame in looks])
        found = {
            "film_steps": np.array([frame.step for frame in looks]),
            "film": film.astype(np.float32),
            "film_loss": np.array([frame.loss for frame in looks]),
            "film_gates": np.stack([frame.gates for frame in looks]),
            "logit_edges": LOGIT_EDGES,
        }
        return found if lags is not None else found | {"lags": wanted}

    def state_dict(self) -> dict[str, Any]:
        """Everything, in types that a checkpoint can hold without running code."""
        return {
            name: [[*frame[:3], torch.from_numpy(frame.profile), torch.from_numpy(frame.gates)] for frame in looks]
            for name, looks in self._looks.items()
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self._looks = {
            name: [
                _Frame(int(step), float(loss), int(steps), np.asarray(profile), np.asarray(gates))
                for step, loss, steps, profile, gates in looks
            ]
            for name, looks in state.items()
        }

    def _of(self, name: str) -> list[_Frame]:
        if name not in self._looks:
            there = ", ".join(map(repr, self._looks)) or "nothing yet"
            raise KeyError(f"Film: no look saw {name!r}; seen were {there}.")
        return self._looks[name]

    def __len__(self) -> int:
        """How many looks there were."""
        return max(map(len, self._looks.values()), default=0)

    def __repr__(self) -> str:
        last = max((looks[-1].step for looks in self._looks.values()), default=math.nan)
        return f"Film({len(self)} looks, layers {', '.join(self._looks) or 'none'}, last step {last})"
