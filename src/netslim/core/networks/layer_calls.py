"""What layers with code of their own hand to torch's function of their kind, seen without computing it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.overrides import TorchFunctionMode

from netslim.core.networks.copies import copied

LAYERS: tuple[type[nn.Module], ...] = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)
_KINDS: tuple[type[nn.Module], ...] = (*LAYERS, nn.SyncBatchNorm, _BatchNorm)
_CONVOLUTIONS = (functional.conv1d, functional.conv2d, functional.conv3d)
_TRANSPOSED = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)
_Arguments = dict[Callable[..., Tensor], tuple[str, ...]]
_PRODUCTS: _Arguments = {
    functional.linear: ("input", "weight", "bias"),
    **dict.fromkeys(_CONVOLUTIONS, ("input", "weight", "bias", "stride", "padding", "dilation", "groups")),
    **dict.fromkeys(
        _TRANSPOSED, ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
    ),
}
_NORMS: _Arguments = dict.fromkeys((functional.batch_norm, torch.batch_norm), ("input",))
_BEYOND = 2  # values beyond a kernel, per side of an example
_SIDES = {nn.BatchNorm1d: 0, nn.BatchNorm3d: 3}  # of an example for a BatchNorm: 2 for others


@dataclass(frozen=True)
class LayerCall:
    """The one call of torch's function in a layer.

    Attributes:
        given: what it is given, by its arguments' names.
        is_last: whether what it gives is what the layer gives.
    """

    given: Mapping[str, Any]
    is_last: bool


def kind_of(module: nn.Module, kinds: tuple[type[nn.Module], ...] = _KINDS) -> type[nn.Module] | None:
    """torch's class that a layer with code of its own is of; None for torch's own, and for other modules."""
    kind = next((own for own in type(module).__mro__ if own in kinds), None)
    names = ("forward", "_conv_forward")
    if any(getattr(type(module), name, None) is not getattr(kind, name, None) for name in names):
        return kind
    return None


def call_in(layer: nn.Module, example: Tensor) -> LayerCall | None:
    """The call of torch's function in a layer; None where there is none, or more than one."""
    calls = _Calls(_NORMS if isinstance(layer, _BatchNorm) else _PRODUCTS)
    with torch.no_grad(), calls:
        result = layer.forward(example)
    if len(calls.seen) != 1:
        return None
    given, out = calls.seen[0]
    return LayerCall(given, out is result)


def reads_its_input(layer: nn.Module) -> bool:
    """Whether torch's function is given a layer's input as it is: neither padded, nor transposed, nor scaled."""
    if kind_of(layer) is None:
        return True
    found = _tried(layer)
    return found is not None and found[0].given["input"] is found[1]


def gives_its_bias(layer: nn.Module) -> bool:
    """Whether a layer has a bias, one more in which is one more in what it gives, there and nowhere else."""
    if not isinstance(layer.bias, nn.Parameter):
        return False
    if kind_of(layer) is None:
        return True
    found = _tried(layer)
    return found is not None and found[0].is_last and found[0].given.get("bias") is found[2].bias


def is_as_torch(layer: nn.Module) -> bool:
    """Whether a layer does what torch's layer of its kind does with its settings, and no more."""
    kind = kind_of(layer)
    if kind is None:
        return True
    found = _tried(layer)
    if found is None or not found[0].is_last:
        return False
    call, example, trial = found
    trial.__class__ = kind
    own = call_in(trial, example)
    return own is not None and all(_same(call.given.get(name), value) for name, value in own.given.items())


def _same(first: Any, second: Any) -> bool:
    return first is second if isinstance(second, Tensor) else bool(first == second)


def _tried(layer: nn.Module) -> tuple[LayerCall, Tensor, nn.Module] | None:
    """The call in a copy of a layer, its input, and the copy."""
    trial = copied(layer).eval()
    try:
        example = example_of(trial)
        call = call_in(trial, example)
    except Exception:  # code of others may raise anything
        return None
    return None if call is None else (call, example, trial)


def example_of(layer: nn.Module) -> Tensor:
    """Numbers that a layer runs on, from 0 to 1."""
    like = next(tensor for tensor in (*layer.parameters(), *layer.buffers()) if tensor.is_floating_point())
    if isinstance(layer, _BatchNorm):
        sides = next((count for kind, count in _SIDES.items() if isinstance(layer, kind)), 2)
        shape = [2, layer.num_features, *(_BEYOND,) * sides]
    elif isinstance(layer, _ConvNd):
        weight = layer.weight
        reads = weight.shape[0] if isinstance(layer, _ConvTransposeNd) else weight.shape[1] * layer.groups
        kernel = zip(weight.shape[2:], layer.dilation, strict=True)
        shape = [2, reads, *(dilation * (side - 1) + 1 + _BEYOND for side, dilation in kernel)]
    else:
        shape = [2, layer.get_parameter("weight").shape[1]]
    return torch.linspace(0, 1, math.prod(shape), dtype=like.dtype, device=like.device).view(shape)


class _Calls(TorchFunctionMode):
    """Notes what torch's functions are given, and gives nothing in their place: what they give is not looked at."""

    def __init__(self, functions: _Arguments) -> None:
        super().__init__()
        self._functions = functions
        self.seen: list[tuple[dict[str, Any], Any]] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by torch for every function of its own."""
        if func not in self._functions:
            return func(*args, **(kwargs or {}))
        nothing = torch.empty(0)
        self.seen.append(({**dict(zip(self._functions[func], args, strict=False)), **(kwargs or {})}, nothing))
        return nothing
