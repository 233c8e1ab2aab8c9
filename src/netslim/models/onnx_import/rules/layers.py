"""Layers with weights: convolutions, linear layers, normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from operator import getitem

import torch
from torch import Tensor, nn

from netslim.models.onnx_import.builder import Builder, layer_name
from netslim.models.onnx_import.operators import Operator, activation, operator
from netslim.models.onnx_import.rules.padding import pads_of, split_pads
from netslim.models.onnx_import.values import Activation, Constant, Value

_CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_NORMS = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}


@operator("Conv")
def conv(build: Builder, node: Operator) -> Value:
    """A convolution over one to three dimensions."""
    given, weight = activation(node), _weight(node, 1)
    dims = _dims(node, weight)
    stride, dilation = _each(node, "strides", dims), _each(node, "dilations", dims)
    pads = pads_of(node, given.like.shape[2:], weight.shape[2:], stride, dilation)
    inner, padding = split_pads(build, given, pads, 0.0)
    groups = int(node.attributes.get("group", 1))

    def make() -> nn.Module:
        shape = (weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]))
        bias = node.input(2) is not None
        layer = _CONVS[dims - 1](*shape, stride, padding, dilation, groups, bias)  # type: ignore[arg-type]
        return _filled(layer, weight, node.constant(2))

    return _layer(build, node, make, inner, (stride, padding, dilation, groups))


@operator("ConvTranspose")
def conv_transpose(build: Builder, node: Operator) -> Value:
    """A transposed convolution; padding that differs from side to side is cut off after it."""
    given, weight = activation(node), _weight(node, 1)
    dims = _dims(node, weight)
    stride, dilation = _each(node, "strides", dims), _each(node, "dilations", dims)
    extra = _each(node, "output_padding", dims, 0)
    pads = _pads_of_transposed(node, given.like.shape[2:], weight.shape[2:], (stride, dilation, extra))
    same = pads[:dims] == pads[dims:]
    padding, groups = pads[:dims] if same else [0] * dims, int(node.attributes.get("group", 1))

    def make() -> nn.Module:
        shape = (weight.shape[0], weight.shape[1] * groups, tuple(weight.shape[2:]))
        bias = node.input(2) is not None
        kind = _TRANSPOSED[dims - 1]
        layer = kind(*shape, stride, padding, extra, groups, bias, dilation)  # type: ignore[arg-type]
        return _filled(layer, weight, node.constant(2))

    made = _layer(build, node, make, given, (stride, padding, dilation, groups, extra))
    if same:
        return made
    cut = [slice(begin, -end if end else None) for begin, end in zip(pads[:dims], pads[dims:], strict=True)]
    return build.call(getitem, made, (slice(None), slice(None), *cut))  # type: ignore[no-any-return]


def _pads_of_transposed(
    node: Operator, sides: Sequence[int], kernel: Sequence[int], settings: Sequence[Sequence[int]]
) -> list[int]:
    """What is cut off before and after each side: as the file says, or so that its output has the shape it says."""
    kind, dims = node.attributes.get("auto_pad", "NOTSET"), len(kernel)
    shape, given = node.attributes.get("output_shape"), node.attributes.get("pads") if kind == "NOTSET" else None
    if shape is None and kind in ("NOTSET", "VALID"):
        return [int(width) for width in given or [0] * (2 * dims)]
    whole = zip(sides, kernel, *settings, strict=True)
    full = [step * (side - 1) + extra + (window - 1) * gap + 1 for side, window, step, gap, extra in whole]
    usual = [side * step for side, step in zip(sides, settings[0], strict=True)]
    wanted = [int(side) for side in shape[-dims:]] if shape else usual
    cut = [have - want for have, want in zip(full, wanted, strict=True)]
    if min(cut) < 0:
        raise node.refusal(f"has an output of {wanted}, and gives no more than {full}")
    less, more = [side // 2 for side in cut], [side - side // 2 for side in cut]
    return [*less, *more] if kind == "SAME_UPPER" else [*more, *less]


@operator("Gemm")
def gemm(build: Builder, node: Operator) -> Value:
    """A linear layer with its bias, or the product of two matrices.

    alpha x W + beta b is worked out as beta (alpha / beta x W + b), so that weights stay those of the file.
    """
    alpha, beta = float(node.attributes.get("alpha", 1)), float(node.attributes.get("beta", 1))
    flip, turned = (bool(node.attributes.get(name, 0)) for name in ("transA", "transB"))
    given, weight, bias = node.value(0), node.value(1), node.input(2) if beta else None
    last = 1 if bias is None else beta
    if flip:
        given = build.call(torch.t, given)
    if not (isinstance(weight, Constant) and isinstance(given, Activation)):
        result = build.call(torch.matmul, given, weight if not turned else build.call(torch.t, weight))
    elif alpha == last and _is_bias(bias, weight, turned):
        result, bias = linear(build, node, given, turned=turned, bias=bias), None
    else:
        result = linear(build, node, given, turned=turned)
    if alpha != last:
        result = build.call(torch.mul, result, alpha / last)
    if bias is not None:
        result = build.call(torch.add, result, bias)
    return result if last == 1 else build.call(torch.mul, result, last)  # type: ignore[no-any-return]


def _is_bias(bias: Value | None, weight: Constant, turned: bool) -> bool:
    if bias is None:
        return True
    return isinstance(bias, Constant) and bias.tensor.numel() == weight.tensor.shape[0 if turned else 1]


@operator("MatMul")
def matmul(build: Builder, node: Operator) -> Value:
    """A linear layer where the second matrix is of the file, else a product."""
    given, weight = build.tensor(node.value(0)), build.tensor(node.value(1))
    if isinstance(given, Activation) and isinstance(weight, Constant) and weight.tensor.dim() == 2:
        return linear(build, node, given, turned=False)
    return build.call(torch.matmul, given, weight)  # type: ignore[no-any-return]


def linear(build: Builder, node: Operator, given: Value, *, turned: bool, bias: Value | None = None) -> Value:
    """A linear layer; `turned` where the file's weight is (out, in), as torch has it."""
    weight = _weight(node, 1)
    matrix = weight if turned else weight.t()
    shift = bias.tensor.reshape(-1) if isinstance(bias, Constant) else None
    shape = tuple(bias.tensor.shape) if isinstance(bias, Constant) else ()

    def make() -> nn.Module:
        return _filled(nn.Linear(matrix.shape[1], matrix.shape[0], bias=shift is not None), matrix, shift)

    value = node.value(1)
    name = layer_name(value.name if isinstance(value, Constant) else "", node.name)
    made = build.layer(make, name, [given], ("linear", turned, _identity(node, 1), _id(bias)))
    path = build.path_of(made)
    build.place(value, f"{path}.weight", None if turned else Tensor.t)
    ones = len(shape) - 1
    build.place(bias, f"{path}.bias", None if ones <= 0 else lambda own: own.reshape(*[1] * ones, -1))
    return made  # type: ignore[no-any-return]


@operator("BatchNormalization")
def batch_norm(build: Builder, node: Operator) -> Value:
    """BatchNorm with the file's statistics."""
    if node.attributes.get("training_mode", 0):
        raise node.refusal("is in training mode: export the network in eval mode")
    given = activation(node)
    tensors = [_weight(node, place) for place in range(1, 5)]
    kind = _NORMS.get(given.like.dim())
    if kind is None:
        raise node.refusal(f"is of an input of {given.like.dim()} dimensions")
    eps = float(node.attributes.get("epsilon", 1e-5))
    names = ("weight", "bias", "running_mean", "running_var")

    def make() -> nn.Module:
        layer = kind(len(tensors[0]), eps=eps)
        layer.load_state_dict(dict(zip(names, tensors, strict=True)), strict=False)
        return layer

    scale = node.value(1)
    name = layer_name(scale.name if isinstance(scale, Constant) else "", node.name)
    made = build.layer(make, name, [given], ("norm", eps, *(_identity(node, place) for place in range(1, 5))))
    for place, own in enumerate(names, 1):
        build.place(node.value(place), f"{build.path_of(made)}.{own}")
    return made  # type: ignore[no-any-return]


@operator("PRelu")
def prelu(build: Builder, node: Operator) -> Value:
    """A slope below zero, per channel or for all."""
    given, slope = activation(node), node.value(1)
    ones = isinstance(slope, Constant) and slope.tensor.numel() in (1, given.like.shape[1])
    if isinstance(slope, Constant) and ones and (slope.tensor.numel() == 1 or _is_per_channel(slope.tensor, given)):
        weight, shape = slope.tensor.flatten(), slope.tensor.shape

        def make() -> nn.Module:
            return _filled(nn.PReLU(len(weight)), weight, None)

        made = build.layer(make, layer_name(slope.name, node.name), [given], ("prelu", id(slope.tensor)))
        back = [-1 if side > 1 else 1 for side in shape] or [1]
        build.place(slope, f"{build.path_of(made)}.weight", lambda own: own.reshape(back if len(own) > 1 else shape))
        return made  # type: ignore[no-any-return]
    below = build.call(torch.mul, slope, build.call(torch.clamp, given, max=0))
    return build.call(torch.add, build.call(torch.clamp, given, min=0), below)  # type: ignore[no-any-return]


def _is_per_channel(slope: Tensor, given: Activation) -> bool:
    """Whether it is (C, 1, 1), with or without a batch in front."""
    return (
        slope.dim() >= given.like.dim() - 1
        and slope.shape[1 - given.like.dim() :].numel() == slope.shape[1 - given.like.dim()]
    )


def _layer(build: Builder, node: Operator, make: object, given: Value, settings: Sequence[object]) -> Activation:
    """A layer with weight and bias; one layer for two nodes that have the same tensors and settings."""
    value = node.value(1)
    name = layer_name(value.name if isinstance(value, Constant) else "", node.name)
    key = (node.kind, _identity(node, 1), _identity(node, 2), str(settings))
    made: Activation = build.layer(make, name, [given], key)  # type: ignore[arg-type]
    for place, own in ((1, "weight"), (2, "bias")):
        build.place(node.input(place), f"{build.path_of(made)}.{own}")
    return made


def _weight(node: Operator, place: int) -> Tensor:
    found = node.constant(place)
    if found is None:
        raise node.refusal(f"has no input {place}")
    return found


def _identity(node: Operator, place: int) -> int:
    return _id(node.input(place))


def _id(value: Value | None) -> int:
    return id(value.tensor) if isinstance(value, Constant) else 0


def _dims(node: Operator, weight: Tensor) -> int:
    dims = weight.dim() - 2
    if dims not in (1, 2, 3):
        raise node.refusal(f"is over {dims} dimensions (known: 1 to 3)")
    return dims


def _each(node: Operator, name: str, dims: int, usual: int = 1) -> tuple[int, ...]:
    return tuple(int(number) for number in node.attributes.get(name, [usual] * dims))


def _filled(layer: nn.Module, weight: Tensor, bias: Tensor | None) -> nn.Module:
    layer.weight = nn.Parameter(weight.clone())
    if bias is not None:
        layer.bias = nn.Parameter(bias.clone())
    return layer
