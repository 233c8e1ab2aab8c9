"""Convolutions and linear layers that compute their weight anew in every call, from parameters that mix in it.

Weight standardisation does (Qiao et al. 2019; timm's `StdConv2d` and `ScaledStdConv2d`), and so do factors of low rank
that are added to a weight (LoRA). Of a weight of which entries are missing they would make other numbers of the rest.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from netslim.core.networks.copies import copied
from netslim.core.networks.layer_calls import LAYERS, call_in, example_of, kind_of

_SETTINGS = ("stride", "padding", "output_padding", "dilation", "groups")


def mixes_its_weight(module: nn.Module) -> bool:
    """Whether a layer does what torch's layer of its kind does, with a weight that it mixes from its parameters."""
    return _found(module) is not None


def fix_weight_(module: nn.Module) -> None:
    """Makes a layer that `mixes_its_weight` torch's own layer of its kind, with the weight as it is computed now."""
    found = _found(module)
    if found is None:
        return
    learns = any(parameter.requires_grad for parameter in module.parameters())
    for held in (module._parameters, module._buffers, module._modules):
        held.clear()
    module.__class__ = found.kind
    for name, value in found.settings.items():
        setattr(module, name, value)
    for name, tensor in found.values.items():
        module.register_parameter(name, None if tensor is None else nn.Parameter(tensor, requires_grad=learns))


@dataclass(frozen=True)
class _Found:
    """A layer's kind, and what torch's function is given in it."""

    kind: type[nn.Module]
    values: Mapping[str, Tensor | None]
    settings: Mapping[str, Any]


def _found(module: nn.Module) -> _Found | None:
    kind = kind_of(module, LAYERS)
    if kind is None or _is_torchs(type(module)) or _arguments(module.forward) >= _arguments(kind.forward):
        return None  # what is called with more could not be torch's own
    trial = copied(module).eval()
    try:
        return _tried(trial, kind)
    except Exception:  # code of others may raise anything
        return None


def _is_torchs(kind: type) -> bool:
    """Whether a class is one of torch's, which rounds the weights of layers that are prepared for quantisation."""
    return kind.__module__.startswith("torch.")


def _arguments(forward: Callable[..., Any]) -> int:
    return len(inspect.signature(forward).parameters)


def _tried(trial: nn.Module, kind: type[nn.Module]) -> _Found | None:
    weight, example = trial.get_parameter("weight"), example_of(trial)
    first, second = _given(trial, example), _given(trial, example**2)
    if first is None or second is None or first["weight"] is weight or first["weight"].shape != weight.shape:
        return None
    if not torch.equal(first["weight"], second["weight"]):
        return None
    values = {name: None if first.get(name) is None else first[name].clone() for name in ("weight", "bias")}
    settings = {name: first[name] for name in _SETTINGS if name in first}
    for name in ("stride", "padding", "output_padding", "dilation"):
        if isinstance(settings.get(name), int):
            settings[name] = (settings[name],) * (weight.dim() - 2)
    if isinstance(trial, _ConvNd):
        settings["padding_mode"] = "zeros"  # what was given is padded so, if at all
    return _Found(kind, values, settings) if _mixes(trial, example) else None


def _given(layer: nn.Module, example: Tensor) -> Mapping[str, Any] | None:
    """What torch's function is given in a layer that is nothing but one call of it on its input; None for others."""
    call = call_in(layer, example)
    return call.given if call is not None and call.is_last and call.given["input"] is example else None


def _mixes(layer: nn.Module, example: Tensor) -> bool:
    """Whether an entry of the weight depends on entries of a parameter in other places, whatever values these have.

    They are overwritten: those that are zero before any training would hide it.
    """
    generator = torch.Generator().manual_seed(0)
    for parameter in layer.parameters():
        parameter.data.copy_(torch.rand(parameter.shape, generator=generator))
    before = _given(layer, example)
    return before is not None and any(
        _moves_others(layer, parameter, before["weight"], example) for parameter in layer.parameters()
    )


def _moves_others(layer: nn.Module, parameter: nn.Parameter, weight: Tensor, example: Tensor) -> bool:
    """Whether other entries of a parameter change more of the weight than the entries in their places."""
    here = (torch.arange(parameter.numel(), device=parameter.device) % 2 == 0).view(parameter.shape)
    known = parameter.detach().clone()
    parameter.data.add_(here)
    given = _given(layer, example)
    parameter.data.copy_(known)
    if given is None:
        return False
    rows = here.view(-1, *(1 for _ in weight.shape[1:])) if here.dim() == 1 and len(here) == len(weight) else here
    try:
        allowed = torch.broadcast_to(rows, weight.shape)
    except RuntimeError:  # it has no place for every entry
        allowed = torch.zeros_like(weight, dtype=torch.bool)
    return not torch.equal(weight, torch.where(allowed, weight, given["weight"]))
