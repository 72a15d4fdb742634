"""The layer: any cell, stacked, in one or two directions, with torch.nn's constructor, names and outputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Proxy
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from headgate import cells, engines
from headgate.cells import Cell
from headgate.engines import Call, Request, as_dtype, is_answered_by_class, is_followed, operator, stock, wide
from headgate.graph import trace
from headgate.nn import initialise, packing
from headgate.nn.arguments import Sequences, autocast_dtype, check_step, close_sequences, open_sequences
from headgate.nn.inference import Packed, run_packed
from headgate.nn.options import cell_with_options, check_options
from headgate.nn.prepared import Ready, run_prepared


class Recurrent(nn.Module):
    """A recurrent layer over any cell.

    Args:
        cell: a name of the catalogue, a Cell, or its class.
        input_size: features of the input, I.
        hidden_size: units, H.
        num_layers: layers, L; each reads the outputs of the one below.
        bias: learn `bias_ih` and `bias_hh`.
        batch_first: input and output are [B, T, ...] instead of [T, B, ...]; states stay [L D, B, ...].
        dropout: probability of zeroing an output between layers, fresh for every step, in training. The masks are those
            of torch.nn for the same random state, except for packed input and `lengths`, where they are drawn over the
            padded steps.
        bidirectional: a second direction reads from each row's end; its outputs follow the first's.
        proj_size: size of a projected output (LSTM family), 0 for none.
        device, dtype: of the parameters.
        engine: which engine must run; None lets headgate choose. It is shown in the repr.
        learnable_state: learn the states before the first step, which are zero otherwise.
        forget_bias: start the gate that keeps the memory at this bias.
        chrono: start its timescales log-uniform up to this many steps (see `initialise.chrono_`).
        orthogonal: start the recurrent blocks orthogonal.
        layer_norm: True for layer normalisation around the cell, or its settings, as in `{"eps": 1e-3}`; see
            `headgate.cells.LayerNorm`. Its gains and biases take the place of `bias_ih` and `bias_hh`; with bias=False
            only the gains are there.
        zoneout: probability that a unit keeps its old value in training: a number, or one a state, as in
            `{"h": 0.1, "c": 0.5}`; see `headgate.cells.Zoneout`. `torch.manual_seed` repeats it.
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
        layer_norm: bool | Mapping[str, Any] = False,
        zoneout: float | Mapping[str, float] = 0.0,
        **switches: Any,
    ) -> None:
        super().__init__()
        kept = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers, "bias": bias}
        kept |= {"batch_first": batch_first, "dropout": dropout, "bidirectional": bidirectional, "proj_size": proj_size}
        kept |= {"engine": engine, "learnable_state": learnable_state}
        self._start = {"forget_bias": forget_bias, "chrono": chrono, "orthogonal": orthogonal}
        check_options({**kept, **self._start, "dtype": dtype})
        for name, value in kept.items():
            setattr(self, name, value)
        self.dropout = float(dropout)
        # A cell that cannot be run is refused here, not at the first batch.
        switches |= {"layer_norm": layer_norm, "zoneout": zoneout}
        self.cell = trace(cell_with_options(cell, switches, proj_size, bias)).cell
        self._cell_key = operator.key(self.cell)
        self._packed: Packed | None = None
        self._ready: Ready | None = None
        self._make_parameters(device, dtype)
        self.reset_parameters()

    # --- parameters ---------------------------------------------------------------------------------------------

    def _make_parameters(self, device: Any, dtype: torch.dtype | None) -> None:
        self._weight_names: list[dict[str, str]] = []
        self._initial_names: list[list[str]] = []
        for layer in range(self.num_layers):
            width = self.input_size if layer == 0 else self.output_size * self.num_directions
            for suffix in ("", "_reverse")[: self.num_directions]:
                shapes = self.cell.parameter_shapes(width, self.hidden_size, self.output_size, self.bias)
                names = {name: f"{name}_l{layer}{suffix}" for name in shapes}
                for name, shape in shapes.items():
                    setattr(self, names[name], nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
                self._weight_names.append(names)
                if self.learnable_state:
                    initial = [f"initial_{state}_l{layer}{suffix}" for state in self.cell.state_names]
                    for name, size in zip(initial, self.state_sizes, strict=True):
                        setattr(self, name, nn.Parameter(torch.empty(size, device=device, dtype=dtype)))
                    self._initial_names.append(initial)

    def reset_parameters(self) -> None:
        """Draw all weights anew: uniform in +-1/sqrt(H) as in torch.nn, then what the constructor asked for."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for names in self._weight_names:
            for name in names.values():
                nn.init.uniform_(getattr(self, name), -bound, bound)
        initialise.vectors_(self)
        for names in self._initial_names:
            for name in names:
                nn.init.zeros_(getattr(self, name))
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
    def parameter_names(self) -> list[str]:
        """All parameters, learned initial states included, as attributes of the layer."""
        weights = [name for names in self._weight_names for name in names.values()]
        return weights + [name for names in self._initial_names for name in names]

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
            The output of the last layer, and each row's states after its last step. A large output lies in memory that
            goes to a later call when nothing uses it any more; it is as any tensor, but cannot be resized in place.

        Raises:
            TypeError, ValueError, RuntimeError: as torch.nn raises them; the message says what came and what is needed.
        """
        if lengths is None and reset is None:
            done = run_packed(self, input, hx, dims=3) or run_prepared(self, input, hx)
            if done is not None:
                return done
        if isinstance(input, Proxy):
            # One node of a traced graph, as torch.nn's layers are.
            given = {"hx": hx, "lengths": lengths, "reset": reset}
            given = {name: value for name, value in given.items() if value is not None}
            return input.tracer.create_proxy("call_module", input.tracer.path_of_module(self), (input,), given)
        places = [(layer, direction) for layer in range(self.num_layers) for direction in range(self.num_directions)]
        # Read once: a parametrised weight is computed whenever it is read.
        weights = [self.weights(*place) for place in places]
        opened = open_sequences(self, weights[0]["weight_ih"], input, hx, lengths, reset)
        device = weights[0]["weight_ih"].device
        # What autocast asks for has been done to the input; inside, every dtype is meant as it is.
        on = autocast_dtype(device) is not None
        off = torch.autocast(device.type, enabled=False) if on else nullcontext()
        with off:
            output, final = self._run(opened, weights)
        return close_sequences(self, opened, output, final)

    def step(self, input: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Run one step, for streaming: the same weights and numbers as `forward`.

        A write that torch does not count, through `.data` or NumPy, `forward` sees at once; this, within 512 calls.

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
        done = run_packed(self, input, state, dims=2)
        if done is not None:
            return done
        batched = check_step(self, input)
        if state is None:
            state = self.initial_state(input.shape[0] if batched else 1, dtype=wide(input.dtype))
            state = state if batched else tuple(value.squeeze(1) for value in state)
            state = state if len(state) > 1 else state[0]
        time = 1 if batched and self.batch_first else 0
        output, state = self(input.unsqueeze(time), state)
        return output.squeeze(time), state

    def initial_state(
        self, batch_size: int, dtype: torch.dtype | None = None, device: Any = None
    ) -> tuple[Tensor, ...]:
        """The states before the first step, [L D, B, ...] each: zeros, or the learned ones."""
        if not self.learnable_state:
            rows = self.num_layers * self.num_directions
            like = {"dtype": dtype or self.weight_ih_l0.dtype, "device": device or self.weight_ih_l0.device}
            return tuple(torch.zeros(rows, batch_size, size, **like) for size in self.state_sizes)
        by_state = zip(*self._initial_names, strict=True)
        learned = (torch.stack([getattr(self, name) for name in names]) for names in by_state)
        return tuple(value[:, None].expand(-1, batch_size, -1).to(device, dtype) for value in learned)

    @property
    def draws_masks(self) -> bool:
        """Whether a call now, in training, draws masks."""
        return bool(self.cell.mask_names) and self.training

    def draw_seeds(self) -> tuple[Tensor, ...] | None:
        """A seed of its own for each layer and direction, from torch's default generator; None where none is needed."""
        if not self.draws_masks:
            return None
        return torch.randint(0, 2**63 - 1, (self.num_layers * self.num_directions, 1), device="cpu").unbind(0)

    def _run(
        self, opened: Sequences, weights: list[dict[str, Tensor]]
    ) -> tuple[Tensor | PackedSequence, tuple[Tensor, ...]]:
        if torch.compiler.is_compiling():
            return self._run_layers(opened, weights, None)
        packed = isinstance(opened.input, PackedSequence)
        data = opened.input.data if packed else opened.input
        given = [data, *opened.initial, *(value for part in weights for value in part.values())]
        # These two are operators already, for torch and for who writes an ONNX file.
        followed = self.engine not in ("stock", "onnx") and (is_followed() or any(map(is_answered_by_class, given)))
        if followed:
            return self._run_layers(opened, weights, None)
        asked = opened.lengths is not None, opened.reset is not None
        request = Request(self.cell, data.device, data.dtype, *asked, masks=self.draws_masks)
        engine = engines.choose(request, self.engine)
        drops = self.training and self.dropout > 0 and self.num_layers > 1
        # torch's kernel would draw its masks over a packed batch; ours are drawn over time and rows, for any engine.
        if engine != "stock" or (drops and (packed or opened.lengths is not None)):
            return self._run_layers(opened, weights, engine)
        return stock.stack(
            self.cell,
            opened.input,
            opened.initial,
            [as_dtype(weight, data.dtype) for part in weights for weight in part.values()],
            has_bias=self.bias,
            num_layers=self.num_layers,
            bidirectional=bool(self.bidirectional),
            dropout=float(self.dropout),
            training=self.training,
            lengths=opened.lengths,
        )

    def _run_layers(
        self, opened: Sequences, weights: list[dict[str, Tensor]], engine: str | None
    ) -> tuple[Tensor | PackedSequence, tuple[Tensor, ...]]:
        """Layer by layer; engine None is for who follows operators, as a compiler does: one a layer and direction."""
        if isinstance(opened.input, PackedSequence):
            input, lengths = packing.unpack(opened.input)
        else:
            input, lengths = opened.input, opened.lengths
        final = []
        seeds = self.draw_seeds()
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(self.num_directions):
                initial = tuple(state[len(final)] for state in opened.initial)
                own = {name: as_dtype(weight, input.dtype) for name, weight in weights[len(final)].items()}
                seed = None if seeds is None else seeds[len(final)]
                call = Call(self.cell, own, input, initial, lengths, opened.reset, direction == 1, seed=seed)
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
        return self.cell.family.__name__

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
            changed = self.cell.changed_switches
            parts += [f"{name}={value!r}" for name, value in changed.items() if name != "projection"]
        return ", ".join(parts)

    def extra_repr(self) -> str:
        weight = getattr(self, "weight_ih_l0", None)
        if weight is None:
            return self._arguments()
        chosen = engines.explain(Request(self.cell, weight.device, weight.dtype), self.engine)
        return f"{self._arguments()}, engine={chosen}"

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_packed": None, "_ready": None}  # a copy packs its own weights

    def __setstate__(self, state: dict) -> None:
        super().__setstate__({"_packed": None, "_ready": None, **state})
        self.cell = trace(self.cell).cell
        self._cell_key = operator.key(self.cell)
