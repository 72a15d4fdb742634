"""`watch`: look at recurrent layers while a model runs, without touching the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from headgate.engines import wide
from headgate.inspection import joined
from headgate.inspection.called import Before, arguments_of, asking, kept, rebuilt, unreadable
from headgate.inspection.layers import weights_of
from headgate.inspection.local import LocalLoss
from headgate.inspection.recompute import LayerRun, recompute
from headgate.inspection.trace import Trace
from headgate.nn import Recurrent
from headgate.nn.swap import COUNTERPARTS

WATCHED = (Recurrent, *COUNTERPARTS)
MEASURED_IN = (torch.float64, torch.float32)


@dataclass
class Capture:
    """One call of one module, kept: what went in, with which weights, and the gradients that came to what went out.

    `unreadable` says why nothing can be told of it, if so; `measured_in` is the format of all that is computed. What
    the next call may go on from: `final`, the states and how often each was changed, and the `versions` of the weights;
    `earlier` is the call that this one went on from.
    """

    module: nn.Module
    arguments: dict[str, Any]
    weights: dict[str, Tensor]
    random_state: Tensor | None
    output: Tensor
    gradients: dict[str, Tensor] = field(default_factory=dict)
    differentiable: bool = True
    unreadable: str | None = None
    layers: list[list[LayerRun]] | None = None
    handles: list[Any] = field(default_factory=list)
    live: list[Tensor] = field(default_factory=list)
    measured_in: torch.dtype = torch.float64
    higher_order: bool = False
    final: joined.Versions = ()
    versions: joined.Versions | None = None
    earlier: Capture | None = None

    @property
    def dtype(self) -> torch.dtype:
        """The format of gates and of gradients between steps: our CPU engines keep both wide under half precision."""
        ours = isinstance(self.module, Recurrent) and self.output.device.type == "cpu"
        return wide(self.output.dtype) if ours else self.output.dtype

    def receive(self, key: str, gradient: Tensor) -> None:
        """Add a gradient that came to the output or to a final state, as `.grad` would."""
        if self.higher_order and key in self.gradients:
            self.unreadable = (
                "a second backward pass came after one with create_graph=True, and what a gradient's own gradient "
                "brings cannot be told from the loss's; watch one of them."
            )
            return
        # Autograd runs a backward pass with gradients enabled just when it is to be differentiated itself.
        self.higher_order = torch.is_grad_enabled()
        try:
            arrived = gradient.detach().clone()
        except RuntimeError:
            self.unreadable = "its backward pass was batched (is_grads_batched, vmap), into which watch cannot see."
            return
        known = self.gradients.get(key)
        self.gradients[key] = arrived if known is None else known + arrived

    def release(self) -> None:
        """Remove the hooks on the output and the states, and let go of these; also of those of earlier calls."""
        for part in self.parts():
            for handle in part.handles:
                handle.remove()
            part.handles.clear()
            part.live.clear()
            part.final = ()

    def parts(self) -> list[Capture]:
        """The calls that it went on from, in their order, and itself."""
        found = [self]
        while found[-1].earlier is not None:
            found.append(found[-1].earlier)
        return found[::-1]


class Watch:
    """The recurrent layers of a model, seen while it ran; `watch` makes it.

    Index it by a module's name for its last layer's forward direction, or deeper: "encoder.lstm.l0",
    "encoder.lstm.l1_reverse". A module called several times is remembered by its last call, and by those before it
    that it went on from with their final states, as a decoder's steps: they are told of as one sequence.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype = torch.float64) -> None:
        if dtype not in MEASURED_IN:
            raise ValueError(f"watch: dtype={dtype} cannot be measured in; choose torch.float64 or torch.float32.")
        self._dtype = dtype
        if not isinstance(model, nn.Module):
            raise TypeError(f"watch: got a {type(model).__name__}, but a torch.nn.Module is needed.")
        self._modules = {name: module for name, module in model.named_modules() if isinstance(module, WATCHED)}
        if not self._modules:
            raise ValueError(
                f"watch: {type(model).__name__} holds no recurrent layer; it sees headgate's layers and torch.nn.LSTM, "
                "GRU and RNN (not their Cell classes)."
            )
        self._names = {
            alias: name
            for name, module in self._modules.items()
            for alias, other in model.named_modules(remove_duplicate=False)
            if other is module
        }
        self._captures: dict[str, Capture] = {}
        self._whole: dict[str, Capture] = {}
        # By thread too: several may run one layer at once.
        self._before: dict[tuple[str, int], Before] = {}
        self._handles: list[Any] = []
        self._traces: dict[str, Trace] = {}

    def __enter__(self) -> Watch:
        if self._handles:
            raise RuntimeError("watch: this watch is already on; make another one with headgate.watch(model).")
        for name, module in self._modules.items():
            before, after = self._on_call(name), self._on_result(name)
            self._handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
            self._handles.append(module.register_forward_hook(after, with_kwargs=True))
            self._handles.append(module.register_forward_hook(self._release(name), always_call=True))
        return self

    def __exit__(self, *exception: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._before.clear()
        for capture in self._captures.values():
            capture.release()

    def backward(self, loss: Tensor) -> None:
        """A backward pass that goes no further back than the watched layers' outputs, within the with-block.

        What a watched layer does with the gradient is the watch's own to find out, so the layer's own way back is saved
        where no other watched layer lies before it; parameters get no gradient. Instead of `loss.backward()`, for
        looking alone.

        Args:
            loss: a scalar.
        """
        live = [value for capture in self._captures.values() for part in capture.parts() for value in part.live]
        if live:
            torch.autograd.grad(loss, live, allow_unused=True)

    def captures(self) -> list[Capture]:
        """What was kept, one a module: its last call, with those that it went on from."""
        return [self._call_of(name) for name in self._captures]

    def narrow(self, narrowed: Callable[[Capture, str], Capture]) -> None:
        """Put what is made of each of them in its place."""
        self._captures = {name: narrowed(self._call_of(name), name) for name in self._captures}
        self._whole.clear()

    def names(self) -> list[str]:
        """Everything that can be looked at: each layer and direction of each module that was called."""
        return [_join(name, part) for name in self._captures for part in _parts(self._modules[name])]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def __getitem__(self, name: str) -> Trace:
        home = name if name in self._names else name.rpartition(".")[0]
        part = "" if home == name else name.rpartition(".")[2]
        home = self._names.get(home, home)
        if home not in self._modules or (part and part not in _parts(self._modules[home])):
            there = ", ".join(map(repr, self.names())) or "nothing that was called"
            raise KeyError(f"watch: nothing named {name!r} here; there is {there}.")
        if home not in self._captures:
            raise KeyError(
                f"watch: {home or 'the model'} was not called within the watch, or ran as compiled code, which calls "
                "no hook; watch the model that torch.compile was given."
            )
        part = part or f"l{self._modules[home].num_layers - 1}"
        return self._trace(home, part)

    def save(self, folder: str | Path) -> Path:
        """Write every trace's record into a folder of its own below `folder`.

        Raises:
            RuntimeError: nothing was called within the watch.
        """
        if not self._captures:
            raise RuntimeError("watch: no recurrent layer was called within the watch, so there is nothing to save.")
        for name in self.names():
            self[name].record().save(Path(folder) / (name or "model"))
        return Path(folder)

    def _on_call(self, name: str):
        def before(module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict] | None:
            if torch.compiler.is_compiling():
                return None
            known = self._before[name, get_ident()] = Before(module)
            earlier, arguments = self._captures.get(name), arguments_of(args, kwargs)
            if earlier is None or known.random_state is not None or len(args) > 2:
                return None
            if not joined.goes_on(earlier, module, arguments):
                return None
            known.earlier = earlier
            # A name of their own, under which only what this call sends back to them is heard.
            known.given = tuple(value.view_as(value) for value in joined.states_of(arguments["hx"]))
            given = known.given if isinstance(arguments["hx"], tuple) else known.given[0]
            return (arguments["input"], given), {}

        return before

    def _release(self, name: str):
        def always(module: nn.Module, args: tuple, result: Any) -> None:
            if torch.compiler.is_compiling():
                return
            before = self._before.pop((name, get_ident()), None)
            if before is not None:
                before.close()

        return always

    def _on_result(self, name: str):
        def after(module: nn.Module, args: tuple, kwargs: dict, result: Any) -> tuple | None:
            if torch.compiler.is_compiling():
                return None
            before = self._before.pop((name, get_ident()))
            before.close()
            arguments = arguments_of(args, kwargs)
            reason = unreadable(args, arguments, result)
            if name in self._captures and (reason or before.earlier is None):
                self._captures[name].release()
            self._forget(name)
            if reason:
                nothing = torch.empty(0, device="cpu")
                self._captures[name] = Capture(module, {}, {}, None, nothing, unreadable=reason)
                return None
            output, final = result
            final = (final,) if isinstance(final, Tensor) else tuple(final)
            data = output.data if isinstance(output, PackedSequence) else output
            weights = before.earlier.weights if before.earlier else before.weights or weights_of(module)
            capture = Capture(module, kept(arguments), weights, before.random_state, data.detach().clone())
            capture.measured_in, capture.earlier, capture.versions = self._dtype, before.earlier, before.versions
            self._captures[name] = capture
            replaced = None
            if data.requires_grad and any(value._base is not None for value in (data, *final)):
                # A view that is changed in place takes its history from its base, past the hooks on the view.
                data, final = data.clone(), tuple(state.clone() for state in final)
                replaced = rebuilt(output, data), final[0] if isinstance(result[1], Tensor) else final
            if not data.requires_grad:
                capture.differentiable = torch.is_grad_enabled() and not data.is_inference()
                if capture.differentiable:
                    # Nothing here learns, but the loss's gradient shall still reach the output.
                    data, final = asking(data), tuple(map(asking, final))
                    replaced = rebuilt(output, data), final[0] if isinstance(result[1], Tensor) else final
            if capture.differentiable:
                self._listen(name, capture, "output", data)
                for k, state in enumerate(final):
                    self._listen(name, capture, f"final_{k}", state)
                for k, state in enumerate(before.given):
                    self._hear(name, capture, f"given_{k}", state)
            capture.final = joined.versions(final)
            return replaced

        return after

    def _listen(self, name: str, capture: Capture, key: str, value: Tensor) -> None:
        self._hear(name, capture, key, value)
        if value.requires_grad:
            capture.live.append(value)

    def _hear(self, name: str, capture: Capture, key: str, value: Tensor) -> None:
        def hook(gradient: Tensor | None) -> None:
            # Where one function makes several results, and the loss reads another.
            if gradient is not None:
                capture.receive(key, gradient)
                self._forget(name)

        if value.requires_grad:
            capture.handles.append(value.register_hook(hook))

    def _call_of(self, name: str) -> Capture:
        if name not in self._whole:
            self._whole[name] = joined.whole(self._captures[name])
        return self._whole[name]

    def _forget(self, name: str) -> None:
        self._whole.pop(name, None)
        for key in [key for key in self._traces if key.rpartition(".")[0] == name]:
            del self._traces[key]

    def _trace(self, name: str, part: str) -> Trace:
        key = f"{name}.{part}"
        if key not in self._traces:
            capture = self._call_of(name)
            if capture.unreadable:
                raise RuntimeError(f"{name or 'the model'}: {capture.unreadable}")
            if capture.layers is None:
                capture.layers = recompute(capture, name or "the model")
            layer = int(part.removesuffix("_reverse")[1:])
            direction = int(part.endswith("_reverse"))
            run = capture.layers[layer][direction]

            there = _parts(capture.module)
            above = [other for other in (f"l{layer + 1}", f"l{layer + 1}_reverse") if other in there]
            local = LocalLoss(name or "the model", capture, run, lambda: [self._trace(name, part) for part in above])
            formats = capture.dtype, next(iter(capture.weights.values())).dtype
            self._traces[key] = Trace(_join(name, part), run.run, direction == 1, local, *formats)
        return self._traces[key]


def watch(model: nn.Module, dtype: torch.dtype = torch.float64) -> Watch:
    """See the gates, states and gradients of every recurrent layer in a model.

    Works on headgate's layers and on plain torch.nn.LSTM, GRU and RNN, in train and eval mode. Within the with-block
    hooks on each layer keep what goes in and the gradient that comes back to what goes out; everything else is computed
    when it is asked for, and no hook is left behind. Results are what they would be without it, but that the output of
    a layer whose weights are all frozen asks for a gradient too, so that there is one to see.

    Args:
        model: any module that holds recurrent layers, or such a layer.
        dtype: the format that everything is computed in; torch.float32 takes half the time and the memory, and tells
            about six digits.

    Example:
        with headgate.watch(model) as seen:
            loss = criterion(model(x), y)
            loss.backward()
        seen["encoder.lstm"].gates["f"]

    Raises:
        ValueError: the model holds none, or a dtype that is neither float64 nor float32.
    """
    return Watch(model, dtype)


def _join(name: str, part: str) -> str:
    return f"{name}.{part}" if name else part


def _parts(module: nn.Module) -> list[str]:
    suffixes = ("", "_reverse") if module.bidirectional else ("",)
    return [f"l{layer}{suffix}" for layer in range(module.num_layers) for suffix in suffixes]
