"""LSTM, GRU and RNN with the constructors of torch.nn, and the names its users rely on."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from headgate.nn.options import refuse_projection
from headgate.nn.recurrent import Recurrent


class _TorchNames(Recurrent):
    """What code written for torch.nn's layers asks of them beside `forward`.

    `_flat_weights` is read from the parameters whenever it is asked for: nothing is aliased or kept.
    """

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._weight_names for name in names.values()]

    @property
    def _flat_weights(self) -> list[Tensor | None]:
        return [getattr(self, name, None) for name in self._flat_weights_names]

    @property
    def _all_weights(self) -> list[list[str]]:
        return [list(names.values()) for names in self._weight_names]

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """The parameters, a list for each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def flatten_parameters(self) -> None:
        """Nothing to do: parameters are read at every call, so there is no flat copy to refresh."""

    def get_expected_hidden_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """Size of the initial output state for an input, [L D, B, O]."""
        rows = input.size(0 if self.batch_first else 1) if batch_sizes is None else int(batch_sizes[0])
        return self.num_layers * self.num_directions, rows, self.output_size

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """States with their rows in another order."""
        if permutation is None:
            return hx
        if isinstance(hx, Tensor):
            return hx.index_select(1, permutation)
        return tuple(state.index_select(1, permutation) for state in hx)


class LSTM(_TorchNames):
    """torch.nn.LSTM, with the family's switches by keyword; see `headgate.cells.lstm.LSTM` and `Recurrent`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("lstm", *args, **kwargs)

    def get_expected_cell_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """Size of the initial cell state for an input, [L D, B, H]."""
        return *self.get_expected_hidden_size(input, batch_sizes)[:2], self.hidden_size


class GRU(_TorchNames):
    """torch.nn.GRU; with `reset="before"`, the form of Cho's final paper and ONNX's default. See `Recurrent`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        refuse_projection(kwargs)
        super().__init__("gru", *args, **kwargs)


class RNN(_TorchNames):
    """torch.nn.RNN: the plain recurrent network, "tanh" or "relu" as its fourth argument. See `Recurrent`."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        refuse_projection(kwargs)
        super().__init__("rnn", input_size, hidden_size, num_layers, *args, nonlinearity=nonlinearity, **kwargs)
        self.nonlinearity = nonlinearity

