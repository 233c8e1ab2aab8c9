"""Padding of windows: explicit, as an attribute asks, or uneven."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F

from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.operators import Operator
from netslim.models.onnx_import.values import Value


def pads_of(
    node: Operator, sides: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> list[int]:
    """Padding before each side, then after each.

    Args:
        node: with `pads` or `auto_pad`.
        sides: of the image.
        kernel, stride, dilation: of the window, per side.
    """
    kind, dims = node.attributes.get("auto_pad", "NOTSET"), len(kernel)
    if kind not in ("SAME_UPPER", "SAME_LOWER"):
        given = node.attributes.get("pads") if kind == "NOTSET" else None
        return [int(pad) for pad in given] if given else [0] * (2 * dims)
    before, after = [], []
    for side, window, step, gap in zip(sides, kernel, stride, dilation, strict=True):
        total = max(0, (-(-side // step) - 1) * step + (window - 1) * gap + 1 - side)
        small = total // 2
        before.append(small if kind == "SAME_UPPER" else total - small)
        after.append(total - before[-1])
    return [*before, *after]


def split_pads(build: Builder, given: Value, pads: Sequence[int], value: float) -> tuple[Value, list[int]]:
    """What a layer pads by itself; padding that differs from side to side is put around its input."""
    dims = len(pads) // 2
    before, after = [*pads[:dims]], [*pads[dims:]]
    if before == after and min(before) >= 0:
        return given, before
    return padded(build, given, before, after, value), [0] * dims


def padded(build: Builder, given: Value, before: Sequence[int], after: Sequence[int], value: float) -> Value:
    """An image with a border of one value."""
    flat = [pad for pair in zip(reversed(before), reversed(after), strict=True) for pad in pair]
    return build.call(F.pad, given, flat, "constant", value)  # type: ignore[no-any-return]
