"""A network that computes as its int8 would, in real numbers, so that it can be trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from netslim.core.networks.modes import evaluation_mode
from netslim.deploy.int8.processor import Integers

Function = Callable[[Tensor], Tensor]
_LEVELS = 255  # steps between the smallest and the largest number of 8 bits


@contextmanager
def fake_quantized(model: nn.Module, images: Sequence[Tensor], kinds: Integers) -> Iterator[Function]:
    """The network as a function whose convolutions and linear layers round weights and inputs to what int8 holds.

    Weights have a scale for each output channel, from its largest value at the time of the call, and no offset; inputs
    a scale and an offset for each layer, from the smallest and the largest value on `images`. Gradients pass as if
    nothing were rounded, and end where a value is cut off (Jacob et al. 2018, sections 2 and 3). A BatchNorm behind a
    convolution need not be folded into it first: with a scale for each channel the steps are the same.

    Args:
        model: in evaluation mode while this lasts; its parameters stay those that a training changes.
        images: batches (N, C, H, W) that ranges are measured on.
        kinds: of numbers that the processor multiplies.
    """
    layers = {name: layer for name, layer in model.named_modules() if _is_layer(layer)}
    with evaluation_mode(model):
        ranges = _ranges(model, layers, images)
        hooks = [layers[name].register_forward_pre_hook(partial(_round_input, found)) for name, found in ranges.items()]
        try:
            yield lambda batch: functional_call(model, _rounded(layers, kinds), (batch,))
        finally:
            for hook in hooks:
                hook.remove()


def round_weight(weight: Tensor, axis: int, largest: int) -> Tensor:
    """A weight as int8 holds it.

    Args:
        weight: of a convolution or a linear layer.
        axis: its dimension of output channels.
        largest: whole number that a channel's largest value becomes.
    """
    others = [dim for dim in range(weight.ndim) if dim != axis]
    scale = (weight.detach().abs().amax(others) / largest).clamp_min(torch.finfo(weight.dtype).tiny)
    nothing = torch.zeros_like(scale, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scale, nothing, axis, -largest, largest)


def _is_layer(module: nn.Module) -> bool:
    return isinstance(module, _ConvNd | nn.Linear) and "weight" in module._parameters


def _rounded(layers: dict[str, nn.Module], kinds: Integers) -> dict[str, Tensor]:
    largest, seen, found = 64 if kinds.seven_bits else 127, set[int](), dict[str, Tensor]()
    for name, layer in layers.items():
        weight = layer.get_parameter("weight")
        if id(weight) not in seen:  # one that several layers share is named once
            seen.add(id(weight))
            found[f"{name}.weight"] = round_weight(weight, int(isinstance(layer, _ConvTransposeNd)), largest)
    return found


def _ranges(model: nn.Module, layers: dict[str, nn.Module], images: Sequence[Tensor]) -> dict[str, tuple[float, float]]:
    """Smallest and largest input of every layer that runs, 0 included."""
    found = dict[str, tuple[float, float]]()

    def observe(name: str, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        low, high = found.get(name, (0.0, 0.0))
        found[name] = min(low, float(inputs[0].min())), max(high, float(inputs[0].max()))

    hooks = [layer.register_forward_pre_hook(partial(observe, name)) for name, layer in layers.items()]
    try:
        with torch.no_grad():
            for batch in images:
                model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _round_input(found: tuple[float, float], _: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    low, high = found
    if high == low:
        return inputs
    scale = (high - low) / _LEVELS
    first = torch.fake_quantize_per_tensor_affine(inputs[0], scale, round(-low / scale), 0, _LEVELS)
    return (first, *inputs[1:])
