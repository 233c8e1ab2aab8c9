"""Normalisation without statistics of the file: over pixels, features, groups of channels, or neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.operators import Operator, activation, operator
from netslim.models.onnx_import.values import Value


@operator("InstanceNormalization")
def instance_norm(build: Builder, node: Operator) -> Value:
    """Each image's channels normalised by themselves."""
    eps = float(node.attributes.get("epsilon", 1e-5))
    weight, bias = node.value(1), node.value(2)
    return build.call(F.instance_norm, node.value(0), weight=weight, bias=bias, eps=eps)  # type: ignore[no-any-return]


@operator("LayerNormalization")
def layer_norm(build: Builder, node: Operator) -> Value:
    """The last dimensions normalised together."""
    given = activation(node)
    dims = _last_dims(node, given.like.dim())
    eps = float(node.attributes.get("epsilon", 1e-5))
    if any(name for name in node.outputs[1:]):
        raise node.refusal("gives its mean")
    if len(dims) == 1:
        shape = [build.size(given, -1)]
        return build.call(F.layer_norm, given, shape, node.value(1), node.input(2), eps)  # type: ignore[no-any-return]
    mean = build.call(torch.mean, given, dims, True)
    centred = build.call(torch.sub, given, mean)
    result = build.call(torch.mul, _scaled(build, centred, dims, eps), node.value(1))
    shift = node.input(2)
    return result if shift is None else build.call(torch.add, result, shift)  # type: ignore[no-any-return]


@operator("RMSNormalization", "SimplifiedLayerNormalization")
def rms_norm(build: Builder, node: Operator) -> Value:
    """The last dimensions divided by the root of their mean square."""
    given = activation(node)
    eps = float(node.attributes.get("epsilon", 1e-5))
    scaled = _scaled(build, given, _last_dims(node, given.like.dim()), eps)
    return build.call(torch.mul, scaled, node.value(1))  # type: ignore[no-any-return]


def _last_dims(node: Operator, dims: int) -> list[int]:
    first = int(node.attributes.get("axis", -1)) % dims
    return [dim - dims for dim in range(first, dims)]


def _scaled(build: Builder, value: Value, dims: Sequence[int], eps: float) -> Value:
    spread = build.call(torch.mean, build.call(torch.square, value), dims, True)
    return build.call(torch.mul, value, build.call(torch.rsqrt, build.call(torch.add, spread, eps)))  # type: ignore[no-any-return]


@operator("MeanVarianceNormalization")
def mean_variance(build: Builder, node: Operator) -> Value:
    """Mean 0 and deviation 1 over some axes."""
    given, axes = node.value(), [int(axis) for axis in node.attributes.get("axes", [0, 2, 3])]
    mean = build.call(torch.mean, given, axes, True)
    square = build.call(torch.mean, build.call(torch.square, given), axes, True)
    variance = build.call(torch.sub, square, build.call(torch.square, mean))
    deviation = build.call(torch.add, build.call(torch.sqrt, variance), 1e-9)
    return build.call(torch.div, build.call(torch.sub, given, mean), deviation)  # type: ignore[no-any-return]


@operator("LpNormalization")
def lp_norm(build: Builder, node: Operator) -> Value:
    """Divided by the norm along an axis; zeros stay zeros."""
    order, axis = float(node.attributes.get("p", 2)), int(node.attributes.get("axis", -1))
    return build.call(F.normalize, node.value(), order, axis, 1e-38)  # type: ignore[no-any-return]


@operator("GroupNormalization")
def group_norm(build: Builder, node: Operator) -> Value:
    """Groups of channels normalised together; weights per channel from operator set 21 on, per group before."""
    groups, eps = int(node.attributes["num_groups"]), float(node.attributes.get("epsilon", 1e-5))
    weights = [node.value(1), node.value(2)]
    if node.opset < 21:
        each = activation(node).like.shape[1] // groups
        weights = [build.call(torch.repeat_interleave, weight, each) for weight in weights]
    return build.call(F.group_norm, node.value(0), groups, *weights, eps)  # type: ignore[no-any-return]


@operator("LRN")
def local_response_norm(build: Builder, node: Operator) -> Value:
    """AlexNet's normalisation over neighbouring channels."""
    size = int(node.attributes["size"])
    alpha, beta, bias = (
        float(node.attributes.get(name, usual)) for name, usual in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))
    )
    return build.call(F.local_response_norm, node.value(0), size, alpha, beta, bias)  # type: ignore[no-any-return]
