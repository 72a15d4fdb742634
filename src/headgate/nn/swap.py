"""torch.nn's recurrent layers in a model replaced by ours, weights kept, outputs proven equal first."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headgate.nn.classical import GRU, LSTM, RNN
from headgate.nn.recurrent import Recurrent

# Bound at import: the classes torch.nn has now, whatever a program puts in their place later.
COUNTERPARTS: dict[type[nn.Module], type[Recurrent]] = {nn.LSTM: LSTM, nn.GRU: GRU, nn.RNN: RNN}
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 5e-2, torch.float16: 1e-2}
_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_load_state_dict_pre_hooks",
)


def swap(model: nn.Module, engine: str | None = None) -> nn.Module:
    """Replace every torch.nn.LSTM, GRU and RNN in a model.

    The new layers hold the same Parameter objects, so optimisers, weight tying and gradients go on as they were; hooks
    and the training flag are kept. Every new layer is run beside the old one on random input before any is put in.

    Args:
        model: changed in place; a bare recurrent layer is not, its replacement is returned.
        engine: for the new layers, as in `Recurrent`.

    Returns:
        The model.

    Raises:
        ValueError: a recurrent layer that cannot be replaced (a subclass, or one with parametrised weights), or whose
            replacement gave other outputs. The model is then as it was.
    """
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
    computed = [weight for weight in module._flat_weights_names if weight not in module._parameters]
    if computed:
        raise ValueError(
            f"swap: {name or 'the model'} computes {', '.join(computed)} from other parameters (weight_norm or pruning); "
            "remove that first."
        )
    options = {key: getattr(module, key) for key in ("num_layers", "bias", "batch_first", "bidirectional")}
    if kind is nn.RNN or hasattr(module, "nonlinearity"):
        options["nonlinearity"] = module.nonlinearity
    if module.proj_size:
        options["proj_size"] = module.proj_size
    ours = COUNTERPARTS[kind](module.input_size, module.hidden_size, **options, device="meta", engine=engine)
    ours.dropout = module.dropout
    for weight in module._flat_weights_names:
        ours._parameters[weight] = module._parameters[weight]
    ours.training = module.training
    for hooks in _HOOKS:
        ours.__dict__[hooks] = module.__dict__[hooks]
    return ours


@torch.no_grad()
def _prove_equal(theirs: nn.Module, ours: Recurrent, name: str) -> None:
    weight = ours.weight_ih_l0
    random = torch.Generator().manual_seed(0)
    input = torch.randn(7, 3, ours.input_size, generator=random).to(weight.device, weight.dtype)
    before = theirs.training
    try:
        # `forward` itself, so that the user's hooks do not see this run.
        results = [_flat(module.eval().forward(input)) for module in (theirs, ours)]
    finally:
        theirs.train(before)
        ours.train(before)
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
