"""torch.nn's recurrent layers in a model replaced by ours, weights kept, outputs proven equal first."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headgate.nn.classical import GRU, LSTM, RNN
from headgate.nn.recurrent import Recurrent

# Bound at import: the classes torch.nn has now, whatever a program puts in their place later.
COUNTERPARTS: dict[type[nn.Module], type[Recurrent]] = {nn.LSTM: LSTM, nn.GRU: GRU, nn.RNN: RNN}
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 5e-2, torch.float16: 1e-2}
# Everything a module may carry that is not its own settings or weights: hooks, buffers, children. A load_state_dict
# pre-hook is bound to its module, so a layer with one is refused.
_OWN = ("training", "_parameters", "_load_state_dict_pre_hooks")
_CARRIED = [name for name in nn.Module().__dict__ if name not in _OWN]


def swap(model: nn.Module, engine: str | None = None) -> nn.Module:
    """Replace every torch.nn.LSTM, GRU and RNN in a model.

    The new layers hold the same Parameter objects, so optimisers, weight tying and gradients go on as they were; hooks
    and the training flag are kept. Every new layer is run beside the old one on random input before any is put in.

    Args:
        model: changed in place; a bare recurrent layer is not, its replacement is returned. Layers held outside the
            model's registered modules (in a plain list, say) are not seen.
        engine: for the new layers, as in `Recurrent`.

    Returns:
        The model.

    Raises:
        ValueError: a recurrent layer that cannot be replaced (a subclass, or one with parametrised weights), or whose
            replacement gave other outputs. The model is then as it was.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"swap: got a {type(model).__name__}, but a torch.nn.Module is needed.")
    replacements: dict[nn.Module, Recurrent] = {}
    for name, module in model.named_modules():
        if isinstance(module, tuple(COUNTERPARTS)) and not isinstance(module, Recurrent):
            replacement = counterpart(module, name, engine)
            _prove_equal(module, replacement, name)
            replacements[module] = replacement
    if model in replacements:
        return replacements[model]
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if child in replacements:
                parent._modules[name] = replacements[child]
    return model


def counterpart(module: nn.Module, name: str = "", engine: str | None = None) -> Recurrent:
    """Our layer over the parameters of one of torch.nn's.

    Raises:
        ValueError: a subclass, or a layer whose weights are not plain parameters.
    """
    kind = type(module)
    if kind not in COUNTERPARTS:
        raise ValueError(
            f"swap: {name or 'the model'} is a {kind.__name__}, a class of its own built on torch.nn's (or one with "
            "parametrised weights), whose behaviour a replacement would lose; replace it by hand."
        )
    if "forward" in module.__dict__:
        raise ValueError(
            f"swap: {name or 'the model'} has a patched forward, which a replacement would lose; remove it."
        )
    computed = [weight for weight in module._flat_weights_names if weight not in module._parameters]
    if computed:
        raise ValueError(
            f"swap: {name or 'the model'} computes {', '.join(computed)} from other parameters (weight_norm, pruning), "
            "which a replacement would lose; remove that first."
        )
    if module._load_state_dict_pre_hooks:
        raise ValueError(
            f"swap: {name or 'the model'} has load_state_dict pre-hooks, which are bound to the old layer; remove them."
        )
    ours = _like(module)
    ours.engine = engine
    for weight in module._flat_weights_names:
        ours._parameters[weight] = module._parameters[weight]
    for name in _CARRIED:
        ours.__dict__[name] = module.__dict__[name]
    settings = set(kind(1, 1, device="meta").__dict__) | {"nonlinearity"}
    ours.__dict__.update({name: value for name, value in module.__dict__.items() if name not in settings})
    return ours


def twin(module: nn.Module, weights: dict[str, Tensor], dtype: torch.dtype = torch.float64) -> Recurrent:
    """A layer of ours with a module's settings (one of ours or of torch.nn's) and other weights, in another format."""
    layer = _like(module)
    for name, weight in weights.items():
        layer._parameters[name] = nn.Parameter(weight.to(dtype), requires_grad=False)
    return layer


def _like(module: nn.Module) -> Recurrent:
    """Our layer with a module's settings and its weights still to come."""
    options = {key: getattr(module, key) for key in ("num_layers", "bias", "batch_first", "bidirectional")}
    if isinstance(module, Recurrent):
        options |= {"proj_size": module.proj_size, "learnable_state": module.learnable_state}
        ours = Recurrent(module.cell, module.input_size, module.hidden_size, **options, device="meta")
    else:
        kind = next(ours for theirs, ours in COUNTERPARTS.items() if isinstance(module, theirs))
        if module.mode.startswith("RNN_"):
            options["nonlinearity"] = module.mode.removeprefix("RNN_").lower()
        if module.proj_size:
            options["proj_size"] = module.proj_size
        ours = kind(module.input_size, module.hidden_size, **options, device="meta")
    ours.dropout = module.dropout
    ours.training = module.training
    return ours


@torch.no_grad()
def _prove_equal(theirs: nn.Module, ours: Recurrent, name: str) -> None:
    weight = ours.weight_ih_l0
    if weight.is_meta:
        raise ValueError(
            f"swap: {name or 'the model'} is on the meta device, so nothing can be proven of its outputs; swap once "
            "it has its weights."
        )
    random = torch.Generator().manual_seed(0)
    input = torch.randn(7, 3, ours.input_size, generator=random, device="cpu").to(weight.device, weight.dtype)
    before = theirs.training
    try:
        theirs.training = ours.training = False
        # `forward` itself, so that the user's hooks do not see this run.
        with torch.autocast(weight.device.type, enabled=False):
            results = [_flat(module.forward(input)) for module in (theirs, ours)]
    finally:
        theirs.training = ours.training = before
    for expected, actual in zip(*results, strict=True):
        error = (expected.double() - actual.double()).abs().max().item()
        if not error <= TOLERANCE[weight.dtype]:
            raise ValueError(
                f"swap: {name or 'the model'} gives other outputs in our layer (by {error:.1e}, allowed "
                f"{TOLERANCE[weight.dtype]:.0e} for {weight.dtype}); the model was left as it is."
            )


def _flat(result: tuple) -> list[Tensor]:
    output, state = result
    return [output, *((state,) if isinstance(state, Tensor) else state)]
