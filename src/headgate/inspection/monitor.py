"""Look at recurrent layers while they are trained: every so many steps, a few sequences, and nothing in between."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from statistics import fmean, median
from typing import Any

import torch
from torch import Tensor, nn

from headgate.inspection import rules
from headgate.inspection.alarms import Alarm, Alarms, Need, verdicts_on
from headgate.inspection.capture import WATCHED, Watch
from headgate.inspection.film import Film
from headgate.inspection.glance import Glance, glance
from headgate.inspection.narrow import narrow_watch
from headgate.inspection.record import Record
from headgate.inspection.thresholds import DEFAULTS, Thresholds

# The usual gradient norm and loss and the share of clipped updates are told from so many looks, the first two from so
# few at least.
REMEMBERED, FEWEST = 20, 3
NOTHING_CALLED = "no recurrent layer was called in the step that was looked at."
COMPILED = "it is compiled, and compiled code calls no hook; Monitor.look, with a loss of its own, sees it."

logger = logging.getLogger("headgate.monitor")


@dataclass
class Look:
    """One look, at one training step. Between looks `Monitor.step` gives one that is false and keeps nothing.

    Attributes:
        step: which training step, over all epochs; -1 between looks.
        loss: of that step; None: it was not reported.
        norm, clip: of the parameters' gradient before clipping, and what it is clipped to; None: not reported.
        glances: by layer and direction, what was seen.
        alarms: what was said because of it.
        missing: by layer and direction, why nothing was seen of it.
        scalars: everything that is worth a curve, by TensorBoard tag.
    """

    step: int = -1
    loss: float | None = None
    norm: float | None = None
    clip: float | None = None
    glances: dict[str, Glance] = field(default_factory=dict)
    alarms: list[Alarm] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    scalars: dict[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.step >= 0

    def report(
        self, loss: Tensor | float | None = None, norm: Tensor | float | None = None, clip: float | None = None
    ) -> None:
        """Tell of the step what cannot be seen from the layers; between looks, nothing happens.

        Args:
            loss: in the unit of the monitor's `chance`. Without it a jump of the norm is not told: the norm jumps, too,
                where a model begins to learn.
            norm: of the gradient of all parameters before it is clipped, as clip_grad_norm_ returns it; under a
                GradScaler after `unscale_`.
            clip: the norm it is clipped to.
        """
        if self.step >= 0:
            self.loss = self.loss if loss is None else _number(loss)
            self.norm = self.norm if norm is None else _number(norm)
            self.clip = self.clip if clip is None else float(clip)


class _Between:
    """What a step that is not looked at gets: shared, and does nothing."""

    look = Look()

    def __enter__(self) -> Look:
        return self.look

    def __exit__(self, *exception: object) -> None:
        return None


class _During:
    """A step that is looked at: the watch is on within it, and what it saw is measured at its end."""

    def __init__(self, monitor: Monitor, step: int) -> None:
        self._monitor, self._look = monitor, Look(step)
        self._watch = Watch(monitor.model)
        # A hook that is on while a model is being compiled would leave its mark in the code.
        for name in monitor._compiled_layers():
            self._look.missing[name] = COMPILED
            del self._watch._modules[name]

    def __enter__(self) -> Look:
        self._watch.__enter__()
        return self._look

    def __exit__(self, kind: type | None, *exception: object) -> None:
        self._watch.__exit__()
        if kind is None:
            self._monitor._take(self._look, self._watch)

    def abandon(self) -> None:
        """Hooks off; what was seen is not measured."""
        self._watch.__exit__()


class Monitor:
    """Watch a model learn to remember.

    Every `every` steps it looks at a few sequences of the batch, in the batch's own pass: gates, time scales, and how
    far back the gradient reaches. What the rules say twice in a row goes to the log "headgate.monitor", once an epoch.
    Training is the same to the bit with it and without, and between looks no hook is on.

    Args:
        model: holds recurrent layers, headgate's or torch.nn's; one that torch.compile returned is looked at through
            the model it was given.
        every: steps from look to look; the first step is looked at.
        rows: sequences that are looked at, the first of the batch. Of a batch that drew dropout or zoneout masks the
            forward pass is run again whole, since a mask belongs to its row's place.
        needs_lag: how many steps back the task reaches; without it nothing is said of horizons.
        chance: loss of the best answer that needs no memory; without it nothing is said of vanishing gradients.
        tbptt: steps after which the gradient is cut, if it is.
        budget: share of the time since the monitor was made that looking may take; a look that would exceed it is put
            off by `every` steps. None: never put off, which makes the looks the same on every machine.
        limits: every number that the rules compare with.
        in_a_row: looks at which a rule must hold before it is told; CONSTANT, a note, three times as many.

    Attributes:
        film: lag profiles, and histograms of the gates, over training.
        warnings: what was said, oldest first.
        history: of every look, "step", "loss" and its scalars.
        missing: by layer and direction, why the last look saw nothing of it.

    Example:
        monitor = headgate.Monitor(model, needs_lag=90, chance=0.167)
        for x, y in loader:
            with monitor.step() as look:
                loss = criterion(model(x), y)
                loss.backward()
                look.report(loss)
            optimizer.step()

    Raises:
        ValueError: the model holds no recurrent layer, or an argument cannot be meant.
    """

    def __init__(
        self,
        model: nn.Module,
        every: int = 100,
        rows: int = 4,
        needs_lag: int | None = None,
        *,
        chance: float | None = None,
        tbptt: int | None = None,
        budget: float | None = 0.01,
        limits: Thresholds = DEFAULTS,
        in_a_row: int = 2,
    ) -> None:
        for name, value in {"every": every, "rows": rows, "in_a_row": in_a_row}.items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"Monitor: {name}={value!r}, but a whole number of at least 1 is needed.")
        if budget is not None and not 0 < budget <= 1:
            raise ValueError(f"Monitor: budget={budget!r}, but a share of the time in 0..1 is needed, or None.")
        self.model = getattr(model, "_orig_mod", model)
        self._compiled = self.model is not model
        Watch(self.model)  # refuses a model without recurrent layers now, not at the first batch
        self.every, self.rows, self.limits, self.budget = every, rows, limits, budget
        self.need = Need(needs_lag, chance, tbptt)
        self.film = Film()
        self.warnings: list[Alarm] = []
        self.history: list[dict[str, float]] = []
        self.missing: dict[str, str] = {}
        self._alarms = Alarms(in_a_row)
        self._between = _Between()
        self._norms: list[float] = []
        self._clipped: list[bool] = []
        self._said_missing: set[str] = set()
        # Numbers of steps: the last one, the next to look at, and what is added to the user's.
        self._last, self._next, self._base = -1, 0, 0
        self._started, self._spent = time.perf_counter(), 0.0

    # --- training's side ----------------------------------------------------------------------------------------

    def step(self, step: int | None = None) -> _Between | _During:
        """Say that a training step begins; its forward and backward pass belong inside the `with`.

        Args:
            step: its number; None: they are counted. Where numbers start again (with every epoch), a new epoch begins
                and counting goes on; the same number again is the same step.

        Returns:
            A context that gives a `Look`, which is true if this step is looked at.
        """
        number = self._number(step)
        return _During(self, number) if number >= self._next and self._due(number) else self._between

    def look(self, step: int | None, loss_of: Callable[[nn.Module], Tensor]) -> Look:
        """Look at sequences of your own, in a pass of its own, if it is time to.

        For compiled models, or to see the same sequences at every look. Gradients, buffers and random states are what
        they were.

        Args:
            step: as in `step`.
            loss_of: runs the model it is given, forward, and returns a loss.
        """
        number = self._number(step)
        if number < self._next or not self._due(number):
            return self._between.look
        look, started = Look(number), time.perf_counter()
        with ExitStack() as stack:
            stack.enter_context(_Untouched(self.model))
            with Watch(self.model) as seen:
                loss = loss_of(self.model)
                learning = [p for p in self.model.parameters() if p.requires_grad]
                # Gradients are asked for, not accumulated; without parameters that learn there is nothing to touch.
                torch.autograd.grad(loss, learning, allow_unused=True) if learning else loss.backward()
        look.report(loss)
        self._spent += time.perf_counter() - started
        self._take(look, seen)
        return look

    def start_epoch(self) -> None:
        """Say that an epoch begins: what was said may be said again, if it still holds."""
        self._alarms.start_epoch()

    # --- results ------------------------------------------------------------------------------------------------

    def add_to(self, record: Record) -> Record:
        """A record of the same layer and direction, with its film and its warnings.

        Raises:
            KeyError: no look saw a layer of that name.
        """
        arrays = self.film.arrays(record.name, record.arrays.get("lags"))
        said = [alarm.as_facts() for alarm in self.warnings if alarm.layer in ("", record.name)]
        return replace(record, arrays=record.arrays | arrays, facts=record.facts | {"warnings": said})

    def state_dict(self) -> dict[str, Any]:
        """Everything that was seen and said, in types that a checkpoint can hold without running code."""
        return {
            "film": self.film.state_dict(),
            "warnings": [alarm.as_facts() for alarm in self.warnings],
            "history": [dict(entry) for entry in self.history],
            "alarms": self._alarms.state_dict(),
            "norms": list(self._norms),
            "clipped": list(self._clipped),
            "steps": [self._last, self._next, self._base],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.film.load_state_dict(state["film"])
        self.warnings = [Alarm.from_facts(facts) for facts in state["warnings"]]
        self.history = [dict(entry) for entry in state["history"]]
        self._alarms.load_state_dict(state["alarms"])
        self._norms, self._clipped = list(state["norms"]), list(state["clipped"])
        self._last, self._next, self._base = state["steps"]

    # --- one look -----------------------------------------------------------------------------------------------

    def _number(self, step: int | None) -> int:
        number = self._last + 1 if step is None else self._base + step
        if number < self._last:
            self._base, number = self._last + 1 - step, self._last + 1
            self.start_epoch()
        self._last = number
        return number

    def _compiled_layers(self) -> list[str]:
        """Recurrent layers that run as compiled code, by their names in the model."""
        layers = {name: m for name, m in self.model.named_modules() if isinstance(m, WATCHED)}
        if self._compiled:
            return list(layers)
        inside = {part for m in self.model.modules() if _is_compiled(m) for part in m.modules()}
        return [name for name, layer in layers.items() if layer in inside]

    def _due(self, number: int) -> bool:
        """Whether there is time for a look; sets when to ask again."""
        self._next = number - number % self.every + self.every
        return self.budget is None or self._spent <= self.budget * (time.perf_counter() - self._started)

    def _take(self, look: Look, seen: Watch) -> None:
        """Measure what was seen at a look, judge it, and keep it."""
        devices = {capture.output.device for capture in seen._captures.values()}
        for device in devices:
            if device.type == "cuda":
                torch.cuda.synchronize(device)  # what is still running is training's time, not ours
        started = time.perf_counter()
        self._see(look, seen)
        self._judge(look)
        look.scalars = self._scalars(look)
        loss = math.nan if look.loss is None else look.loss
        for found in look.glances.values():
            self.film.add(look.step, loss, found)
        self.history.append({"step": look.step, "loss": loss, **look.scalars})
        for alarm in look.alarms:
            logger.warning("%s", alarm)
        for name in look.missing.keys() - self._said_missing:
            logger.warning("step %d, %s: not seen: %s", look.step, name or "the model", look.missing[name])
        self._said_missing |= look.missing.keys()
        self.missing = dict(look.missing)
        self._spent += time.perf_counter() - started

    def _see(self, look: Look, seen: Watch) -> None:
        try:
            narrow_watch(seen, self.rows)
        except RuntimeError as reason:
            look.missing |= dict.fromkeys(seen.names(), str(reason))
            return
        for name in seen.names():
            try:
                look.glances[name] = glance(seen[name])
            except RuntimeError as reason:
                look.missing[name] = str(reason)
        if not seen.names() and not look.missing:
            look.missing[""] = NOTHING_CALLED

    def _judge(self, look: Look) -> None:
        """Whatever the rules say, and whether it is time to tell it."""
        usual = median(self._norms) if len(self._norms) >= FEWEST else None
        losses = [entry["loss"] for entry in self.history[-REMEMBERED:] if math.isfinite(entry["loss"])]
        usual_loss = median(losses) if len(losses) >= FEWEST else None
        whole = rules.exploding(
            norm=look.norm, usual_norm=usual, loss=look.loss, usual_loss=usual_loss, limits=self.limits
        )
        look.alarms += self._alarms.hear(look.step, "", [whole] if whole else [])
        for name, found in look.glances.items():
            verdicts = verdicts_on(found, self.need, look.loss, self.limits)
            look.alarms += self._alarms.hear(look.step, name, verdicts)
        self.warnings += look.alarms
        if look.norm is not None and math.isfinite(look.norm):
            self._norms = [*self._norms, look.norm][-REMEMBERED:]
        if look.norm is not None and look.clip is not None:
            self._clipped = [*self._clipped, look.norm > look.clip][-REMEMBERED:]

    def _scalars(self, look: Look) -> dict[str, float]:
        found = {f"rnn/{name}/{tag}": v for name, seen in look.glances.items() for tag, v in seen.scalars().items()}
        if self._clipped:
            found["rnn/clip_rate"] = fmean(self._clipped)
        return found | {"rnn/warnings": float(len(self.warnings))}


class _Untouched:
    """Whatever a pass does to buffers and random states is undone after it."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        devices = {p.device for p in model.parameters() if p.device.type == "cuda"}
        self._random = torch.random.fork_rng(devices=sorted(d.index for d in devices))

    def __enter__(self) -> None:
        self._random.__enter__()
        self._before = [(buffer, buffer.detach().clone()) for buffer in self._model.buffers()]

    def __exit__(self, *exception: object) -> None:
        with torch.no_grad():
            for buffer, value in self._before:
                buffer.copy_(value)
        self._random.__exit__(*exception)


def _is_compiled(module: nn.Module) -> bool:
    """Whether torch.compile made it, or its `compile` was called, or its forward was replaced by a compiled one."""
    marked = any(hasattr(value, "_torchdynamo_orig_callable") for value in vars(module).values())
    return marked or module._compiled_call_impl is not None


def _number(value: Tensor | float) -> float:
    return value.detach().item() if isinstance(value, Tensor) else float(value)
