"""What reads images and sounds elsewhere than pixel by pixel: grids, patches, spectra."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.operators import Operator, operator
from netslim.models.onnx_import.values import Constant, Value

_MODES = {"linear": "bilinear", "cubic": "bicubic"}  # ONNX's since operator set 20: torch's, and ONNX's before
_LONGEST = 4096  # numbers of a spectrum that is computed as a product of matrices
_WINDOWS: Mapping[str, Callable[..., Tensor]] = {
    **{"HannWindow": torch.hann_window, "HammingWindow": torch.hamming_window, "BlackmanWindow": torch.blackman_window},
}


@operator("GridSample")
def grid_sample(build: Builder, node: Operator) -> Value:
    """Pixels at places that a grid says, from -1 to 1."""
    mode = str(node.attributes.get("mode", "linear" if node.opset >= 20 else "bilinear"))
    border = str(node.attributes.get("padding_mode", "zeros"))
    corners = bool(node.attributes.get("align_corners", 0))
    given, grid = (build.tensor(node.value(place)) for place in (0, 1))
    return build.call(F.grid_sample, given, grid, _MODES.get(mode, mode), border, corners)  # type: ignore[no-any-return]


@operator("AffineGrid")
def affine_grid(build: Builder, node: Operator) -> Value:
    """The grid of a turned and moved image."""
    sizes = build.numbers(node.value(1))
    if sizes is None:
        raise node.refusal("has a shape that the network computes")
    corners = bool(node.attributes.get("align_corners", 0))
    return build.call(F.affine_grid, build.tensor(node.value()), sizes.items, corners)  # type: ignore[no-any-return]


@operator("Col2Im")
def columns_to_image(build: Builder, node: Operator) -> Value:
    """Patches put back, and added where they overlap."""
    shape, block = (node.integers(name, place) for name, place in (("image_shape", 1), ("block_shape", 2)))
    if shape is None or block is None or len(shape) != 2:
        raise node.refusal("is not over images")
    pads = [int(width) for width in node.attributes.get("pads", [0] * 4)]
    if pads[:2] != pads[2:]:
        raise node.refusal("has uneven padding")
    dilation, stride = ([int(each) for each in node.attributes.get(name, [1, 1])] for name in ("dilations", "strides"))
    return build.call(F.fold, node.value(), shape, block, dilation, pads[:2], stride)  # type: ignore[no-any-return]


@operator(*_WINDOWS)
def window(build: Builder, node: Operator) -> Value:  # noqa: ARG001
    """A bell over a frame."""
    size = node.constant(0)
    if size is None or int(node.attributes.get("output_datatype", 1)) != 1:
        raise node.refusal("is of no length that is known, or not in single precision")
    count, periodic = int(size), bool(node.attributes.get("periodic", 1))
    settings: dict[str, Any] = {"alpha": 25 / 46, "beta": 21 / 46} if node.kind == "HammingWindow" else {}
    return Constant(_WINDOWS[node.kind](count, periodic, **settings))


@operator("STFT")
def short_time_fourier(build: Builder, node: Operator) -> Value:
    """Spectra of frames of a sound: (N, length, 1) to (N, frames, frequencies, 2)."""
    given, step, bell, length = node.value(0), node.constant(1), node.constant(2), node.constant(3)
    if build.like(given).dim() == 3 and build.like(given).shape[-1] == 2:
        raise node.refusal("is of complex numbers")
    if build.like(given).dim() == 3:
        given = build.call(torch.squeeze, given, -1)
    if step is None or (bell is None and length is None):
        raise node.refusal("has frames whose length is not known")
    count = int(length) if length is not None else len(bell)  # type: ignore[arg-type]
    frames = build.call(torch.Tensor.unfold, given, -1, count, int(step))
    weighed = frames if bell is None else build.call(torch.mul, frames, node.value(2))
    return _spectrum(build, node, weighed, None, count, count, one_sided=bool(node.attributes.get("onesided", 1)))


@operator("DFT")
def fourier(build: Builder, node: Operator) -> Value:
    """The spectrum along an axis; the last dimension is 1 for real numbers and 2 for complex ones."""
    given, length, axis = build.tensor(node.value()), node.constant(1), node.constant(2)
    dims, inverse = build.like(given).dim(), bool(node.attributes.get("inverse", 0))
    dim = int(axis) if axis is not None else int(node.attributes.get("axis", -2 if node.opset >= 20 else 1))
    one_sided = bool(node.attributes.get("onesided", 0))
    if one_sided and inverse:
        raise node.refusal("is inverse of one side")
    real, *others = build.call(torch.unbind, given, -1)
    at = dim % dims
    side = build.like(real).shape[at]
    count = side if length is None else int(length)
    parts = [build.call(torch.transpose, part, at, -1) for part in (real, *others)]
    if count < side:
        parts = [build.call(torch.narrow, part, -1, 0, count) for part in parts]
    imaginary = parts[1] if others else None
    made = _spectrum(build, node, parts[0], imaginary, min(count, side), count, one_sided=one_sided, inverse=inverse)
    return build.call(torch.transpose, made, at, dims - 2)  # type: ignore[no-any-return]


def _spectrum(
    build: Builder,
    node: Operator,
    real: Value,
    imaginary: Value | None,
    taken: int,
    count: int,
    *,
    one_sided: bool,
    inverse: bool = False,
) -> Value:
    """Of the last dimension, whose `taken` numbers are followed by zeros up to `count`: a last dimension of 2."""
    if count > _LONGEST:
        raise node.refusal(f"is of {count} numbers (at most {_LONGEST})")
    cosine, sine = _waves(taken, count, one_sided=one_sided, inverse=inverse)
    parts = [build.call(torch.matmul, real, Constant(wave)) for wave in (cosine, sine)]
    if imaginary is not None:
        other = [build.call(torch.matmul, imaginary, Constant(wave)) for wave in (-sine, cosine)]
        parts = [build.call(torch.add, *pair) for pair in zip(parts, other, strict=True)]
    return build.call(torch.stack, parts, -1)  # type: ignore[no-any-return]


def _waves(taken: int, count: int, *, one_sided: bool, inverse: bool) -> tuple[Tensor, Tensor]:
    """Real and imaginary part of exp(-2 pi i t f / count), (taken, frequencies)."""
    frequencies = count // 2 + 1 if one_sided else count
    turns = (torch.arange(taken)[:, None] * torch.arange(frequencies)) % count
    angle = turns.double() * (2 * math.pi / count)
    sign, scale = (1, 1 / count) if inverse else (-1, 1.0)
    return (torch.cos(angle) * scale).float(), (sign * torch.sin(angle) * scale).float()
