"""One call of a recurrent module from before to after: what has to be known of it, and what cannot be read."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import PackedSequence

from headgate.engines import in_transform
from headgate.inspection import joined
from headgate.inspection.layers import weights_of
from headgate.nn import Recurrent

if TYPE_CHECKING:
    from headgate.inspection.capture import Capture


class Before:
    """What has to be known before a layer runs: the random state of its masks, and weights that it computes.

    Parametrised weights are computed when they are read. Held in torch's cache for the time of the call, they are the
    layer's own, and a random one draws no second time.
    """

    def __init__(self, module: nn.Module) -> None:
        self.weights: dict[str, Tensor] = {}
        self.versions = joined.weights_now(module)
        self.earlier: Capture | None = None
        self.given: tuple[Tensor, ...] = ()
        self._cache = ExitStack()
        if isinstance(module, Recurrent) and parametrize.is_parametrized(module):
            self._cache.enter_context(parametrize.cached())
            self.weights = weights_of(module)
        # After the weights, which may be drawn: this is where the layer's own dropout and zoneout begin.
        draws = module.training and module.num_layers > 1 and module.dropout > 0
        draws = draws or (isinstance(module, Recurrent) and module.draws_masks)
        self.random_state = torch.get_rng_state() if draws else None

    def close(self) -> None:
        """Let go of the cache."""
        self._cache.close()


def arguments_of(args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
    """A call's arguments by name; those of a forward of its own beyond two are left to `unreadable`."""
    return dict(zip(("input", "hx"), args, strict=False)) | kwargs


def unreadable(args: tuple, arguments: dict[str, Any], result: Any) -> str | None:
    """Why nothing can be told of a call, such as one that a subclass's own forward makes."""
    if in_transform():
        return "it ran inside a function transform (vmap, grad, jvp), into which watch cannot see; call it outside."
    unknown = set(arguments) - {"input", "hx", "lengths", "reset"}
    if unknown or len(args) > 2:
        came = f"the argument {sorted(unknown)[0]!r}" if unknown else f"{len(args)} arguments"
        return f"its forward was called with {came}, so it is a forward of its own, which watch cannot follow."
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], (Tensor, PackedSequence))):
        return "its forward does not return (output, state), so it is a forward of its own, which watch cannot follow."
    return None


def asking(value: Tensor) -> Tensor:
    """The same values, asking for a gradient; no leaf, so that they may still be changed in place."""
    return value.detach().requires_grad_().clone()


def kept(value: Any) -> Any:
    """Arguments, copied off the graph."""
    if isinstance(value, PackedSequence):
        return rebuilt(value, value.data.detach().clone())
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: kept(part) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        return tuple(kept(part) for part in value)
    return value


def rebuilt(like: Tensor | PackedSequence, data: Tensor) -> Tensor | PackedSequence:
    """Other data in a sequence's form."""
    return PackedSequence(data, *like[1:]) if isinstance(like, PackedSequence) else data
