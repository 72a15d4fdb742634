"""The layer: any cell, stacked, in one or two directions, with torch.nn's constructor, names and outputs."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from headgate import cells, engines
from headgate.cells import Cell
from headgate.engines import Call, Request, operator, stock, wide
from headgate.nn import initialise, packing
from headgate.nn.arguments import check_constructor, close_sequences, open_sequences


class Recurrent(nn.Module):
    """A recurrent layer over any cell.

    Args:
        cell: a name of the catalogue, a Cell, or its class.
        input_size: features of the input, I.
        hidden_size: units, H.
        num_layers: layers, L; each reads the outputs of the one below.
        bias: learn `bias_ih` and `bias_hh`.
        batch_first: input and output are [B, T, ...] instead of [T, B, ...]; states stay [L D, B, ...].
        dropout: probability of zeroing an output between layers, fresh for every step, in training.
        bidirectional: a second direction reads from each row's end; its outputs follow the first's.
        proj_size: size of a projected output (LSTM family), 0 for none.
        device, dtype: of the parameters.
        engine: which engine must run; None lets headgate choose. It is shown in the repr.
        learnable_state: learn the states before the first step, which are zero otherwise.
        forget_bias: start the gate that keeps the memory at this bias.
        chrono: start its timescales log-uniform up to this many steps (see `initialise.chrono_`).
        orthogonal: start the recurrent blocks orthogonal.
        switches: fields of the cell's family, such as `peephole=True`.

    Shape:
        input [T, B, I], [B, T, I] (batch_first), [T, I], or a PackedSequence; output likewise with D O features, where
        O is proj_size or H and D is 1 or 2. States are [L D, B, H] (the output's [L D, B, O]), without B if the input
        has none. A cell with one state hands on a tensor, others a tuple in the cell's order.
    """

    def __init__(
        self,
        cell: str | Cell | type[Cell],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        engine: str | None = None,
        learnable_state: bool = False,
        forget_bias: float | None = None,
        chrono: float | None = None,
        orthogonal: bool = False,
        **switches: Any,
    ) -> None:
        super().__init__()
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers}
        options = {"bias": bias, "batch_first": batch_first, "dropout": dropout, "bidirectional": bidirectional}
        check_constructor({**sizes, **options, "proj_size": proj_size})
        if engine is not None:
            engines.engine_named(engine)
        self.cell = _with_projection(cells.get(cell, **switches), proj_size)
        for name, value in {**sizes, **options, "proj_size": proj_size}.items():
            setattr(self, name, value)
        self.dropout = float(dropout)
        self.engine = engine
        self.learnable_state = learnable_state
        self._start = {"forget_bias": forget_bias, "chrono": chrono, "orthogonal": orthogonal}
        self._cell_key = operator.key(self.cell)
        self._make_parameters(device, dtype)
        self.reset_parameters()

    # --- parameters ---------------------------------------------------------------------------------------------

    def _make_parameters(self, device: Any, dtype: torch.dtype | None) -> None:
        self._weight_names: list[dict[str, str]] = []
        for layer in range(self.num_layers):
            width = self.input_size if layer == 0 else self.output_size * self.num_directions
            for suffix in ("", "_reverse")[: self.num_directions]:
                shapes = self.cell.parameter_shapes(width, self.hidden_size, self.output_size, self.bias)
                names = {name: f"{name}_l{layer}{suffix}" for name in shapes}
                for name, shape in shapes.items():
                    setattr(self, names[name], nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
                self._weight_names.append(names)
                if self.learnable_state:
                    for state, size in zip(self.cell.state_names, self.state_sizes, strict=True):
                        initial = nn.Parameter(torch.empty(size, device=device, dtype=dtype))
                        setattr(self, f"initial_{state}_l{layer}{suffix}", initial)

    def reset_parameters(self) -> None:
        """Draw all weights anew: uniform in +-1/sqrt(H) as in torch.nn, then what the constructor asked for."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for names in self._weight_names:
            for name in names.values():
                nn.init.uniform_(getattr(self, name), -bound, bound)
        for name, parameter in self.named_parameters(recurse=False):
            if name.startswith("initial_"):
                nn.init.zeros_(parameter)
        if self._start["orthogonal"]:
            initialise.orthogonal_(self)
        if self._start["forget_bias"] is not None:
            initialise.forget_bias_(self, self._start["forget_bias"])
        if self._start["chrono"] is not None:
            initialise.chrono_(self, self._start["chrono"])

    def weights(self, layer: int, direction: int = 0) -> dict[str, Tensor]:
        """The weights of one layer and direction as they are now, by the names of `Cell.parameter_shapes`."""
        names = self._weight_names[layer * self.num_directions + direction]
        return {name: getattr(self, attribute) for name, attribute in names.items()}

    @property
    def num_directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """Features of one direction's output, O."""
        return self.proj_size or self.hidden_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Units of each state, in the cell's order."""
        return tuple(self.cell.state_size(s, self.hidden_size, self.output_size) for s in self.cell.state_names)

    # --- running ------------------------------------------------------------------------------------------------

    def forward(self, input: Any, hx: Any = None, *, lengths: Any = None, reset: Tensor | None = None) -> tuple:
        """Run over whole sequences.

        Args:
            input: see the class.
            hx: states before the first step; None for zeros, or the learned ones.
            lengths: valid steps of each row, [B], on any device, in any order, zeros allowed. A row's state is frozen
                past its end, its output there is zero, and the reverse direction starts at that end.
            reset: bool, shaped like the input without its features: True where a new sequence begins at that step.
                Between it and the step before, either direction restores the initial state, so a row holding several
                sequences gives what they would give apart.

        Returns:
            The output of the last layer, and each row's states after its last step.

        Raises:
            TypeError, ValueError, RuntimeError: as torch.nn raises them; the message names what came and what is needed.
        """
        opened = open_sequences(self, input, hx, lengths, reset)
        with torch.autocast(self.weight_ih_l0.device.type, enabled=False):
            output, final = self._run(opened)
        return close_sequences(self, opened, output, final)

    def step(self, input: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Run one step, for streaming: the same weights and numbers as `forward`.

        Args:
            input: [B, I] or [I].
            state: what the last call returned; None to begin. Half-precision layers carry it in float32.

        Returns:
            The output [B, O] or [O], and the state to hand to the next call.

        Raises:
            RuntimeError: the layer is bidirectional, and a reverse direction needs the end first.
        """
        if self.bidirectional:
            raise RuntimeError(
                f"{self.call}: a bidirectional layer cannot be stepped, since its reverse direction starts at the end; "
                "use bidirectional=False for streaming."
            )
        if not isinstance(input, Tensor) or input.dim() not in (1, 2):
            shape = list(input.shape) if isinstance(input, Tensor) else type(input).__name__
            raise ValueError(f"{self.call}: step got {shape}, but one step is [B, I] or [I]; forward takes sequences.")
        batched = input.dim() == 2
        if state is None:
            state = self.initial_state(input.shape[0] if batched else 1, dtype=wide(input.dtype))
            state = state if batched else tuple(value.squeeze(1) for value in state)
            state = state if len(state) > 1 else state[0]
        time = 1 if batched and self.batch_first else 0
        output, state = self(input.unsqueeze(time), state)
        return output.squeeze(time), state

    def initial_state(self, batch_size: int, dtype: torch.dtype | None = None) -> tuple[Tensor, ...]:
        """The states before the first step, [L D, B, ...] each: zeros, or the learned ones."""
        weight = self.weight_ih_l0
        dtype = weight.dtype if dtype is None else dtype
        rows = self.num_layers * self.num_directions
        if not self.learnable_state:
            return tuple(weight.new_zeros(rows, batch_size, size, dtype=dtype) for size in self.state_sizes)
        suffixes = [names["weight_ih"].removeprefix("weight_ih") for names in self._weight_names]
        learned = (torch.stack([getattr(self, f"initial_{s}{k}") for k in suffixes]) for s in self.cell.state_names)
        return tuple(value[:, None].expand(-1, batch_size, -1).to(dtype) for value in learned)

    def _run(self, opened) -> tuple[Tensor | PackedSequence, tuple[Tensor, ...]]:
        if torch.compiler.is_compiling():
            return self._run_layers(opened, None)
        packed = isinstance(opened.input, PackedSequence)
        data = opened.input.data if packed else opened.input
        request = Request(self.cell, data.device, data.dtype, opened.lengths is not None, opened.reset is not None)
        engine = engines.choose(request, self.engine)
        if engine != "stock":
            return self._run_layers(opened, engine)
        weights = [
            weight.to(data.dtype)
            for layer in range(self.num_layers)
            for direction in range(self.num_directions)
            for weight in self.weights(layer, direction).values()
        ]
        return stock.stack(
            self.cell,
            opened.input,
            opened.initial,
            weights,
            has_bias=self.bias,
            num_layers=self.num_layers,
            bidirectional=bool(self.bidirectional),
            dropout=float(self.dropout),
            training=self.training,
            lengths=opened.lengths,
        )

    def _run_layers(self, opened, engine: str | None) -> tuple[Tensor | PackedSequence, tuple[Tensor, ...]]:
        """Layer by layer; engine None is compiled code, where each layer and direction is one operator."""
        if isinstance(opened.input, PackedSequence):
            input, lengths = packing.unpack(opened.input)
        else:
            input, lengths = opened.input, opened.lengths
        final = []
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(self.num_directions):
                initial = tuple(state[len(final)] for state in opened.initial)
                weights = {n: w.to(input.dtype) for n, w in self.weights(layer, direction).items()}
                call = Call(self.cell, weights, input, initial, lengths, opened.reset, direction == 1)
                if engine is None:
                    result = operator.forward(call, self._cell_key, self.engine)
                else:
                    result = engines.engine_named(engine).forward(call)
                outputs.append(result.output)
                final.append(result.final)
            input = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
            if self.dropout and layer < self.num_layers - 1:
                input = functional.dropout(input, float(self.dropout), self.training)
        if isinstance(opened.input, PackedSequence):
            input = packing.pack_like(opened.input, input)
        return input, tuple(torch.stack(states) for states in zip(*final, strict=True))

    # --- how it shows itself ------------------------------------------------------------------------------------

    @property
    def family(self) -> str:
        """The name torch.nn's messages use."""
        return type(self.cell).__name__

    @property
    def mode(self) -> str:
        """torch.nn's word for the kind of layer ("LSTM", "RNN_TANH"); a cell that it lacks goes by its name here."""
        plain = {"rnn": "RNN_TANH", "relu_rnn": "RNN_RELU"}
        return next((word for name, word in plain.items() if cells.get(name) == self.cell), self.family)

    @property
    def call(self) -> str:
        """The layer as one would write it, for messages."""
        return f"{type(self).__name__}({self._arguments()})"

    def _arguments(self) -> str:
        parts = [str(self.input_size), str(self.hidden_size)]
        if type(self) is Recurrent:
            parts.insert(0, self.cell.name)
        defaults = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0}
        defaults |= {"bidirectional": False, "learnable_state": False}
        parts += [f"{n}={getattr(self, n)}" for n, default in defaults.items() if getattr(self, n) != default]
        if type(self) is not Recurrent:
            fields = getattr(self.cell, "__dataclass_fields__", {})
            changed = {n: getattr(self.cell, n) for n in fields if getattr(self.cell, n) != fields[n].default}
            parts += [f"{name}={value!r}" for name, value in changed.items() if name != "projection"]
        return ", ".join(parts)

    def extra_repr(self) -> str:
        weight = getattr(self, "weight_ih_l0", None)
        if weight is None:
            return self._arguments()
        chosen = engines.explain(Request(self.cell, weight.device, weight.dtype), self.engine)
        return f"{self._arguments()}, engine={chosen}"

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        self._cell_key = operator.key(self.cell)


def _with_projection(cell: Cell, proj_size: int) -> Cell:
    if (proj_size > 0) == bool(cell.produces_projection):
        return cell
    if proj_size == 0:
        raise ValueError(f"{cell.name} projects its output, so it needs a proj_size greater than zero.")
    if "projection" not in getattr(cell, "__dataclass_fields__", {}):
        raise ValueError(
            f"proj_size argument is only supported for LSTM, not RNN or GRU: {cell.name} has no projection; "
            "leave proj_size=0."
        )
    return cells.get(cell, projection=True)
