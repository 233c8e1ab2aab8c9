"""Shapes: asked for, computed with, and given."""

from __future__ import annotations

import dataclasses
from functools import reduce
from operator import mul
from typing import Any

import torch
from torch import Tensor

from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.operators import Operator, activation, operator
from netslim.models.onnx_import.reshaping import new_sizes
from netslim.models.onnx_import.values import Activation, Constant, Number, Numbers, Table, Value, rearranged

# ONNX's numbers of types. Half precision is computed in single here.
DTYPES = {
    **{1: torch.float32, 2: torch.uint8, 3: torch.int8, 5: torch.int16, 6: torch.int32, 7: torch.int64, 9: torch.bool},
    **{10: torch.float32, 11: torch.float64, 16: torch.float32},
}


@operator("Shape")
def shape(build: Builder, node: Operator) -> Value:
    """The sides of a tensor."""
    given = node.value()
    begin, end = node.attributes.get("start", 0), node.attributes.get("end")
    if isinstance(given, Activation):
        sides = [build.size(given, dim) for dim in range(given.like.dim())]
        return Numbers(tuple(sides[begin:end]))
    return Constant(torch.tensor(build.like(given).shape[begin:end], dtype=torch.int64))


@operator("Size")
def count(build: Builder, node: Operator) -> Value:
    """How many numbers a tensor has."""
    given = node.value()
    if not isinstance(given, Activation):
        return Constant(torch.tensor(build.like(given).numel()))
    sides = (build.size(given, dim) for dim in range(given.like.dim()))
    return Numbers((reduce(lambda left, right: build.number(mul, left, right), sides, Number(1)),), scalar=True)


@operator("Constant")
def constant(build: Builder, node: Operator) -> Value:  # noqa: ARG001
    """A tensor that stands in the graph."""
    for name, kind in (("value_int", torch.int64), ("value_float", torch.float32)):
        if name in node.attributes:
            return Constant(torch.tensor(node.attributes[name], dtype=kind))
    for name, kind in (("value_ints", torch.int64), ("value_floats", torch.float32)):
        if name in node.attributes:
            return Constant(torch.tensor([*node.attributes[name]], dtype=kind))
    found = node.attributes.get("value")
    if not isinstance(found, Tensor):
        raise node.refusal(f"has {', '.join(node.attributes) or 'nothing'} (known: numbers)")
    return Constant(found)


@operator("ConstantOfShape")
def constant_of_shape(build: Builder, node: Operator) -> Value:
    """One number in a shape."""
    sizes = build.numbers(node.value())
    if sizes is None:
        raise node.refusal("has a shape that the network computes")
    value = node.attributes.get("value")
    fill = value.reshape(-1)[0] if isinstance(value, Tensor) else torch.tensor(0.0)
    return build.call(torch.full, sizes.items, fill.item(), dtype=fill.dtype)  # type: ignore[no-any-return]


@operator("Range")
def span(build: Builder, node: Operator) -> Value:
    """Numbers from one on, up to another."""
    limits = [build.numbers(node.value(place)) for place in range(3)]
    begin, end, step = (side.items[0] if side else None for side in limits)
    if begin is None or end is None or step is None:
        raise node.refusal("has bounds that the network computes")
    return build.call(torch.arange, begin, end, step)  # type: ignore[no-any-return]


@operator("Cast")
def cast(build: Builder, node: Operator) -> Value:
    """Another type of numbers."""
    kind = DTYPES.get(int(node.attributes["to"]))
    if kind is None:
        raise node.refusal(f"casts to type {node.attributes['to']} of ONNX, which is none that networks compute in")
    given = node.value()
    if isinstance(given, Numbers | Table):
        function = float if kind.is_floating_point else bool if kind == torch.bool else int
        return dataclasses.replace(given, items=tuple(build.number(function, item) for item in given.items))
    if isinstance(given, Constant):
        return Constant(given.tensor.to(kind), given.name if given.tensor.dtype == kind else "")
    return given if build.like(given).dtype == kind else build.call(torch.Tensor.to, given, kind)


@operator("CastLike")
def cast_like(build: Builder, node: Operator) -> Value:
    """The type of another tensor."""
    kind = build.like(node.value(1)).dtype
    return build.call(torch.Tensor.to, build.tensor(node.value()), kind)  # type: ignore[no-any-return]


@operator("Reshape")
def reshape(build: Builder, node: Operator) -> Value:
    """Another shape; what the file writes as numbers follows the channels where it can."""
    given = node.value()
    if "shape" in node.attributes:
        sizes: Numbers | None = Numbers(tuple(map(Number, node.attributes["shape"])))
    else:
        sizes = build.numbers(node.value(1))
    if sizes is None:
        raise node.refusal("has a shape that the network computes")
    if isinstance(given, Numbers | Table):
        wanted = [int(side) for side in sizes.values]
        return rearranged(given, lambda places: places.reshape(wanted))
    if isinstance(given, Constant):
        return build.call(torch.reshape, given, _plain(given.tensor, sizes))  # type: ignore[no-any-return]
    keep = bool(node.attributes.get("allowzero", 0))
    plan = new_sizes(build, activation(node), sizes.items, keep_zeros=keep)
    if isinstance(plan, tuple):
        return build.call(torch.flatten, given, *plan)  # type: ignore[no-any-return]
    return build.call(torch.reshape, given, tuple(plan))  # type: ignore[no-any-return]


def _plain(tensor: Tensor, sizes: Numbers) -> tuple[int, ...]:
    return tuple(tensor.shape[at] if side == 0 else int(side) for at, side in enumerate(sizes.values))


@operator("Flatten")
def flatten(build: Builder, node: Operator) -> Value:
    """Two dimensions: those before the axis, and those from it on."""
    given, axis = build.tensor(node.value()), int(node.attributes.get("axis", 1))
    dims = build.like(given).dim()
    axis = axis + dims if axis < 0 else axis
    if axis == 1:
        return build.call(torch.flatten, given, 1) if dims > 1 else build.call(torch.unsqueeze, given, 1)  # type: ignore[no-any-return]
    first = build.like(given).shape[:axis].numel()
    return build.call(torch.reshape, given, (first, -1))  # type: ignore[no-any-return]


@operator("Squeeze")
def squeeze(build: Builder, node: Operator) -> Value:
    """Without dimensions of size one."""
    given, axes = node.value(), node.integers("axes", 1)
    if isinstance(given, Numbers):
        return Numbers(given.items, scalar=True)
    shape = build.like(given).shape
    chosen = [axis for axis, side in enumerate(shape) if side == 1] if axes is None else axes
    if any(shape[axis] != 1 for axis in chosen):
        raise node.refusal(f"squeezes a dimension of {'x'.join(map(str, shape))} that is not 1")
    return build.call(torch.squeeze, given, tuple(chosen))  # type: ignore[no-any-return]


@operator("Unsqueeze")
def unsqueeze(build: Builder, node: Operator) -> Value:
    """With more dimensions of size one."""
    given, axes = node.value(), node.integers("axes", 1) or []
    if isinstance(given, Numbers) and given.scalar and axes in ([0], [-1]):
        return Numbers(given.items)
    result: Any = build.tensor(given)
    dims = build.like(result).dim() + len(axes)
    for axis in sorted(axis % dims for axis in axes):
        result = build.call(torch.unsqueeze, result, axis)
    return result  # type: ignore[no-any-return]


@operator("Expand")
def expand(build: Builder, node: Operator) -> Value:
    """Repeated along dimensions of size one; those that stay follow the channels."""
    given, sizes = build.tensor(node.value()), build.numbers(node.value(1))
    if sizes is None:
        raise node.refusal("has a shape that the network computes")
    own, wanted = build.like(given).shape, sizes.items
    added = len(wanted) - len(own)
    sides: list[Any] = [*wanted] if added >= 0 else [Number(1)] * -added + [*wanted]
    for at in range(max(0, added), len(sides)):
        mine = own[at - max(0, added)]
        if sides[at].value in (1, mine):
            sides[at] = -1
    return build.call(torch.Tensor.expand, given, sides)  # type: ignore[no-any-return]
