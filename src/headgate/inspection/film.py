"""The horizon film: how far back the gradient reaches, over training (chart V3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from headgate.inspection.glance import Glance, at_lags
from headgate.inspection.lags import lag_grid


class Film:
    """Lag profiles of every layer and direction, look by look.

    Looks may see sequences of different lengths: a profile ends where its sequences do.
    """

    def __init__(self) -> None:
        self._looks: dict[str, list[tuple[int, float, int, np.ndarray]]] = {}

    def add(self, step: int, loss: float, glance: Glance) -> None:
        """Take one picture.

        Args:
            step: of training.
            loss: there; NaN if unknown.
            glance: of the layer and direction.
        """
        steps = int(glance.lags[-1]) + 1
        self._looks.setdefault(glance.name, []).append((step, loss, steps, glance.profile.astype(np.float32)))

    def names(self) -> list[str]:
        """Layers and directions that were seen."""
        return list(self._looks)

    def lags(self, name: str) -> np.ndarray:
        """The lags of the longest profile, [lag]."""
        return lag_grid(max(steps for _, _, steps, _ in self._of(name)))

    def arrays(self, name: str, lags: Sequence[int] | np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The film as a Record's arrays.

        Args:
            name: of a layer and direction.
            lags: at which; None for all that were seen.

        Returns:
            `film_steps` [N], `film` [N, lag] in log10, NaN where a look's sequences were not as long, and `film_loss`
            [N]; and, if no lags were given, `lags`.

        Raises:
            KeyError: nothing of that name was seen.
        """
        looks = self._of(name)
        wanted = self.lags(name) if lags is None else np.asarray(lags)
        film = np.stack([at_lags(lag_grid(steps), profile, wanted) for _, _, steps, profile in looks])
        found = {
            "film_steps": np.array([step for step, _, _, _ in looks]),
            "film": film.astype(np.float32),
            "film_loss": np.array([loss for _, loss, _, _ in looks]),
        }
        return found if lags is not None else found | {"lags": wanted}

    def state_dict(self) -> dict[str, Any]:
        """Everything, in types that a checkpoint can hold without running code."""
        return {
            name: [[step, loss, steps, torch.from_numpy(profile)] for step, loss, steps, profile in looks]
            for name, looks in self._looks.items()
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self._looks = {
            name: [(int(step), float(loss), int(steps), np.asarray(profile)) for step, loss, steps, profile in looks]
            for name, looks in state.items()
        }

    def _of(self, name: str) -> list[tuple[int, float, int, np.ndarray]]:
        if name not in self._looks:
            there = ", ".join(map(repr, self._looks)) or "nothing yet"
            raise KeyError(f"Film: no look saw {name!r}; seen were {there}.")
        return self._looks[name]

    def __len__(self) -> int:
        """How many looks there were."""
        return max(map(len, self._looks.values()), default=0)

    def __repr__(self) -> str:
        last = max((looks[-1][0] for looks in self._looks.values()), default=math.nan)
        return f"Film({len(self)} looks, layers {', '.join(self._looks) or 'none'}, last step {last})"
