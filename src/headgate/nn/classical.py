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

    @_flat_weights.setter
    def _flat_weights(self, weights: list[Tensor | None]) -> None:
        """What is not what the layer reads by its name takes that place; a parameter gives way to nothing but another.

        Raises:
            ValueError: another number of weights.
            TypeError: a plain tensor where the layer has a parameter; delete that first, as torch.nn's users do.
        """
        names = self._flat_weights_names
        if len(weights) != len(names):
            raise ValueError(f"{self.call}: {len(weights)} weights were given, but it has {len(names)}.")
        for name, weight in zip(names, weights, strict=True):
            if getattr(self, name, None) is not weight:
                setattr(self, name, weight)

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

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """See that an input with a batch, or a packed one's data, has this layer's dimensions and width.

        Raises:
            RuntimeError: it has not.
        """
        dims = 3 if batch_sizes is None else 2
        if input.dim() != dims:
            raise RuntimeError(f"{self.call}: input must have {dims} dimensions, got {input.dim()}.")
        if input.size(-1) != self.input_size:
            raise RuntimeError(
                f"{self.call}: input.size(-1) must be equal to input_size. Expected {self.input_size}, got "
                f"{input.size(-1)}."
            )

    def check_hidden_size(
        self, hx: Tensor, expected_hidden_size: tuple[int, int, int], msg: str = "Expected hidden size {}, got {}"
    ) -> None:
        """See that a state has the size that was found for it.

        Raises:
            RuntimeError: it has not.
        """
        if hx.size() != expected_hidden_size:
            raise RuntimeError(f"{self.call}: {msg.format(expected_hidden_size, list(hx.size()))}.")

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        """See that an input and the states before it fit this layer; see `check_input` and `check_hidden_size`."""
        self.check_input(input, batch_sizes)
        states = (hidden,) if isinstance(hidden, Tensor) else hidden
        sizes = self.get_expected_hidden_size(input, batch_sizes)
        for name, state, size in zip(self.cell.state_names, states, self.state_sizes, strict=True):
            message = f"Expected {'hidden' if len(states) == 1 else f'hidden[{name}]'} size {{}}, got {{}}"
            self.check_hidden_size(state, (*sizes[:2], size), message)

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

