"""A layer as a linear map: rows of its input times a matrix of its weights are rows of its output."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

LAYERS = (nn.Linear, _ConvNd)
Places = tuple[Tensor, ...]  # where a layer gives numbers: the image and, of a convolution, the place in it


def some_places(layer: nn.Module, y: Tensor, most: int, generator: torch.Generator) -> Places:
    """At most so many of the places of a layer's output, at random; per dimension but the channels' int64 (places,)."""
    sides = y.shape[:-1] if isinstance(layer, nn.Linear) else torch.Size([y.shape[0], *y.shape[2:]])
    count = sides.numel()
    flat = torch.arange(count) if count <= most else torch.randperm(count, generator=generator)[:most]
    return tuple(part.to(y.device) for part in torch.unravel_index(flat, sides))


def inputs_at(layer: nn.Module, x: Tensor, places: Places) -> Tensor:
    """What the layer reads there, shape (groups, places, inputs of a group x kernel)."""
    if isinstance(layer, nn.Linear):
        return x[places][None]
    rows = _patches(layer, x).movedim(1, x.dim() - 1)[places]
    return rows.reshape(len(rows), groups_of(layer), -1).transpose(0, 1)


def outputs_at(layer: nn.Module, y: Tensor, places: Places) -> Tensor:
    """What a layer of its kind gives there, shape (places, channels)."""
    return (y if isinstance(layer, nn.Linear) else y.movedim(1, -1))[places]


def by_group(layer: nn.Module, rows: Tensor) -> Tensor:
    """Rows of outputs (places, channels) as (groups, places, outputs of a group)."""
    return rows.reshape(len(rows), groups_of(layer), -1).transpose(0, 1)


def groups_of(layer: nn.Module) -> int:
    """Its groups, 1 for a linear layer."""
    return int(getattr(layer, "groups", 1))


def matrix_of(layer: nn.Module, weight: Tensor) -> Tensor:
    """The layer's weights, shape (groups, inputs of a group x kernel, outputs of a group)."""
    groups = groups_of(layer)
    if isinstance(layer, _ConvTransposeNd):
        split = weight.view(groups, weight.shape[0] // groups, *weight.shape[1:]).movedim(2, -1)
        return split.flip(tuple(range(2, split.dim() - 1))).flatten(1, -2)
    return weight.reshape(groups, weight.shape[0] // groups, -1).transpose(1, 2)


def weight_of(layer: Any, matrix: Tensor) -> Tensor:
    """The inverse of `matrix_of`."""
    groups, _, outputs = matrix.shape
    if isinstance(layer, _ConvTransposeNd):
        split = matrix.view(groups, -1, *layer.kernel_size, outputs).flip(tuple(range(2, 2 + len(layer.kernel_size))))
        return split.movedim(-1, 2).reshape(layer.weight.shape)
    return matrix.transpose(1, 2).reshape(layer.weight.shape)


def _patches(layer: Any, x: Tensor) -> Tensor:
    """All that the kernel lies over, shape (images, channels, *places, *kernel), a view of one copy of the input."""
    steps = layer.stride
    if isinstance(layer, _ConvTransposeNd):
        x, steps = _spread(layer, x), (1,) * len(layer.kernel_size)
    else:
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        x = F.pad(x, layer._reversed_padding_repeated_twice, mode=mode)
    if math.prod(layer.kernel_size) > 1:
        x = x.movedim(1, -1).contiguous().movedim(-1, 1)  # with its channels side by side a place is read faster
    for number, (size, dilation, step) in enumerate(zip(layer.kernel_size, layer.dilation, steps, strict=True)):
        x = x.unfold(2 + number, dilation * (size - 1) + 1, step)[..., ::dilation]
    return x


def _spread(layer: Any, x: Tensor) -> Tensor:
    """The input of a transposed convolution with zeros between, on which it is a plain one with its kernel turned."""
    sides = [(size - 1) * step + 1 for size, step in zip(x.shape[2:], layer.stride, strict=True)]
    spread = x.new_zeros((*x.shape[:2], *sides))
    inner: Any = tuple(slice(None, None, step) for step in layer.stride)
    spread[(..., *inner)] = x
    pads: list[int] = []
    for size, dilation, pad, more in zip(
        layer.kernel_size, layer.dilation, layer.padding, layer.output_padding, strict=True
    ):
        border = dilation * (size - 1) - pad
        pads = [border, border + more, *pads]
    return F.pad(spread, pads)
