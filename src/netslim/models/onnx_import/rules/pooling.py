"""Poolings over windows and over whole images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.operators import Operator, activation, operator
from netslim.models.onnx_import.rules.padding import padded, pads_of, split_pads
from netslim.models.onnx_import.values import Activation, Constant, Value

_MAX: tuple[Callable[..., Any], ...] = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
_MEAN: tuple[Callable[..., Any], ...] = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)


@operator("MaxPool")
def max_pool(build: Builder, node: Operator) -> Value:
    """The largest of each window."""
    if len(node.outputs) > 1 and node.outputs[1]:
        raise node.refusal("gives the places of its maxima")
    given = activation(node)
    kernel, stride, dilation, pads = _window(node, given)
    ceil = bool(node.attributes.get("ceil_mode", 0))
    half = all(2 * pad <= window for pad, window in zip(pads, [*kernel] * 2, strict=True))
    inner, padding = split_pads(build, given, pads, float("-inf"))
    if not half and any(padding):
        inner, padding = padded(build, given, padding, padding, float("-inf")), [0] * len(kernel)
    return build.call(_MAX[len(kernel) - 1], inner, kernel, stride, padding, dilation, ceil)  # type: ignore[no-any-return]


@operator("AveragePool")
def average_pool(build: Builder, node: Operator) -> Value:
    """The mean of each window; the padding counts or not."""
    given = activation(node)
    kernel, stride, dilation, pads = _window(node, given)
    if any(gap != 1 for gap in dilation):
        raise node.refusal("is dilated")
    counted = bool(node.attributes.get("count_include_pad", 0))
    ceil = bool(node.attributes.get("ceil_mode", 0))
    pool, dims = _MEAN[len(kernel) - 1], len(kernel)
    if pads[:dims] == pads[dims:] and all(2 * pad <= window for pad, window in zip(pads, [*kernel] * 2, strict=True)):
        return build.call(pool, given, kernel, stride, pads[:dims], ceil, counted)  # type: ignore[no-any-return]
    if ceil:
        raise node.refusal("has uneven padding and `ceil_mode`")
    inner = padded(build, given, pads[:dims], pads[dims:], 0.0)
    mean = build.call(pool, inner, kernel, stride)
    if counted:
        return mean  # type: ignore[no-any-return]
    ones = padded(build, Constant(torch.ones(1, 1, *given.like.shape[2:])), pads[:dims], pads[dims:], 0.0)
    return build.call(torch.div, mean, build.call(pool, ones, kernel, stride))  # type: ignore[no-any-return]


@operator("LpPool")
def norm_pool(build: Builder, node: Operator) -> Value:
    """The p-norm of each window."""
    given, order = activation(node), float(node.attributes.get("p", 2))
    kernel, stride, dilation, pads = _window(node, given)
    if any(gap != 1 for gap in dilation) or node.attributes.get("ceil_mode", 0):
        raise node.refusal("is dilated or has `ceil_mode`")
    dims = len(kernel)
    powers = build.call(torch.pow, build.call(torch.abs, given), order)
    inner = padded(build, powers, pads[:dims], pads[dims:], 0.0) if any(pads) else powers
    total = build.call(torch.mul, build.call(_MEAN[dims - 1], inner, kernel, stride), math.prod(kernel))
    return build.call(torch.pow, total, 1 / order)  # type: ignore[no-any-return]


@operator("GlobalLpPool")
def global_norm_pool(build: Builder, node: Operator) -> Value:
    """The p-norm of each channel."""
    given, order = activation(node), float(node.attributes.get("p", 2))
    return build.call(torch.linalg.vector_norm, given, order, [*range(2, given.like.dim())], True)  # type: ignore[no-any-return]


@operator("GlobalAveragePool", "GlobalMaxPool")
def global_pool(build: Builder, node: Operator) -> Value:
    """The mean or largest of each channel."""
    given = activation(node)
    dims = [*range(2, given.like.dim())]
    return build.call(torch.mean if "Average" in node.kind else torch.amax, given, dims, True)  # type: ignore[no-any-return]


def _window(node: Operator, given: Activation) -> tuple[Sequence[int], Sequence[int], Sequence[int], list[int]]:
    """Kernel, stride, dilation and padding."""
    kernel = tuple(int(side) for side in node.attributes["kernel_shape"])
    if len(kernel) not in (1, 2, 3):
        raise node.refusal(f"is over {len(kernel)} dimensions (known: 1 to 3)")
    ones = [1] * len(kernel)
    stride = tuple(int(step) for step in node.attributes.get("strides", ones))
    dilation = tuple(int(gap) for gap in node.attributes.get("dilations", ones))
    return kernel, stride, dilation, pads_of(node, given.like.shape[2:], kernel, stride, dilation)
