"""Numbers picked from places, or put there: by what the file says, or by what the network computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import getitem
from typing import Any

import torch
from torch import Tensor

from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.operators import Operator, operator
from netslim.models.onnx_import.values import Activation, Constant, Number, Numbers, Value

_REDUCED: Mapping[str, str] = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@operator("Gather")
def gather(build: Builder, node: Operator) -> Value:
    """Places along an axis, or of sizes."""
    given, axis = node.value(0), int(node.attributes.get("axis", 0))
    if isinstance(given, Numbers) and not isinstance(node.value(1), Activation):
        return _of_sizes(build, node, given)
    given, index = build.tensor(given), build.tensor(node.value(1))
    if isinstance(index, Activation):
        places_of = _from_zero(build, index, _side(build, given, axis))
        if isinstance(given, Constant) and not axis and given.tensor.dim() == 2:
            return build.call(torch.nn.functional.embedding, places_of, given)  # type: ignore[no-any-return]
        flat = build.call(torch.flatten, places_of)
        sides = [build.size(index, dim) for dim in range(index.like.dim())]
        return _unflattened(build, build.call(torch.index_select, given, axis, flat), axis, sides)
    if index.tensor.dim() == 0:
        return build.call(torch.select, given, axis, int(index.tensor))  # type: ignore[no-any-return]
    side = build.like(given).shape[axis]
    places = torch.where(index.tensor < 0, index.tensor + side, index.tensor)
    picked = build.call(torch.index_select, given, axis, Constant(places.flatten().long()))
    return _unflattened(build, picked, axis, places.shape)


def _unflattened(build: Builder, picked: Value, axis: int, shape: Sequence[Number | int]) -> Value:
    if not shape:
        return build.call(torch.squeeze, picked, axis)  # type: ignore[no-any-return]
    return picked if len(shape) == 1 else build.call(torch.unflatten, picked, axis, tuple(shape))


def _side(build: Builder, given: Value, axis: int) -> Number:
    return build.size(given, axis) if isinstance(given, Activation) else Number(build.like(given).shape[axis])


def _from_zero(build: Builder, index: Value, side: Number | int) -> Value:
    """Places that may be counted from the end, counted from the beginning."""
    if isinstance(index, Constant):
        length = int(side.value if isinstance(side, Number) else side)
        return Constant(torch.where(index.tensor < 0, index.tensor + length, index.tensor).long())
    return build.call(torch.remainder, build.call(torch.Tensor.to, index, torch.int64), side)  # type: ignore[no-any-return]


def _of_sizes(build: Builder, node: Operator, given: Numbers) -> Numbers:
    index = build.numbers(node.value(1))
    if index is None:
        raise node.refusal("picks sizes by what the network computes")
    try:
        return Numbers(tuple(given.items[int(place)] for place in index.values), scalar=index.scalar)
    except IndexError:
        raise node.refusal(f"picks one of {len(given.items)} sizes that is not there") from None


@operator("GatherND")
def gather_nd(build: Builder, node: Operator) -> Value:
    """Places along the first dimensions, or along those after the first ones of a batch."""
    given, index = build.tensor(node.value(0)), build.tensor(node.value(1))
    count = int(node.attributes.get("batch_dims", 0))
    return build.call(getitem, given, _places(build, given, index, count))  # type: ignore[no-any-return]


def _places(build: Builder, given: Value, index: Value, batch: int = 0) -> tuple[Any, ...]:
    """What indexes a tensor: for each of a batch its own number, then the places along each further dimension."""
    dims = build.like(index).dim() - 1
    own: list[Any] = []
    for at in range(batch):
        numbers = build.call(torch.arange, _side(build, given, at))
        own.append(build.call(torch.reshape, numbers, [-1 if dim == at else 1 for dim in range(dims)]))
    parts = build.call(torch.unbind, index, -1)
    return (*own, *(_from_zero(build, part, _side(build, given, batch + at)) for at, part in enumerate(parts)))


@operator("GatherElements")
def gather_elements(build: Builder, node: Operator) -> Value:
    """For each place one along an axis."""
    given, index, axis = build.tensor(node.value(0)), build.tensor(node.value(1)), int(node.attributes.get("axis", 0))
    places = _from_zero(build, index, _side(build, given, axis))
    return build.call(torch.gather, given, axis, places)  # type: ignore[no-any-return]


@operator("ScatterElements", "Scatter")
def scatter_elements(build: Builder, node: Operator) -> Value:
    """For each place one along an axis that is overwritten, or with which something is done."""
    given, index, values = (build.tensor(node.value(place)) for place in range(3))
    axis, kind = int(node.attributes.get("axis", 0)), str(node.attributes.get("reduction", "none"))
    places = _from_zero(build, index, _side(build, given, axis))
    if kind == "none":
        return build.call(torch.scatter, given, axis, places, values)  # type: ignore[no-any-return]
    return build.call(torch.scatter_reduce, given, axis, places, values, _REDUCED[kind])  # type: ignore[no-any-return]


@operator("ScatterND")
def scatter_nd(build: Builder, node: Operator) -> Value:
    """Places along the first dimensions that are overwritten, or to which something is added."""
    given, index, values = (build.tensor(node.value(place)) for place in range(3))
    kind = str(node.attributes.get("reduction", "none"))
    if kind not in ("none", "add"):
        raise node.refusal(f"has reduction {kind} (known: none, add)")
    return build.call(torch.index_put, given, _places(build, given, index), values, kind == "add")  # type: ignore[no-any-return]


@operator("Compress")
def compress(build: Builder, node: Operator) -> Value:
    """Places along an axis, or of all numbers, that the file marks."""
    marked, given = node.constant(1), build.tensor(node.value())
    if marked is None:
        raise node.refusal("has no marks")
    if "axis" not in node.attributes:
        given = build.call(torch.flatten, given)
    axis = int(node.attributes.get("axis", 0))
    return build.call(torch.index_select, given, axis, Constant(marked.flatten().nonzero().flatten()))  # type: ignore[no-any-return]


@operator("OneHot")
def one_hot(build: Builder, node: Operator) -> Value:
    """A number as a row that is on at its place, if there is such a place, and off elsewhere."""
    index, depth, values = build.tensor(node.value(0)), node.constant(1), node.constant(2)
    if depth is None or values is None:
        raise node.refusal("has no depth or values")
    count, axis = int(depth.flatten()[0]), int(node.attributes.get("axis", -1))
    dims = build.like(index).dim() + 1
    whole = build.call(torch.Tensor.to, index, torch.int64)
    ends = build.call(torch.add, whole, count)
    apart = build.call(torch.unsqueeze, build.call(torch.where, build.call(torch.lt, whole, 0), ends, whole), axis)
    numbers = torch.arange(count).reshape([-1 if dim == axis % dims else 1 for dim in range(dims)])
    met = build.call(torch.eq, apart, Constant(numbers))
    off, on = (Constant(value.clone()) for value in values.unbind())
    return build.call(torch.where, met, on, off)  # type: ignore[no-any-return]


@operator("Trilu")
def triangle(build: Builder, node: Operator) -> Value:
    """A matrix above or below a diagonal, zeros elsewhere."""
    shift: Tensor | None = node.constant(1)
    function = torch.triu if node.attributes.get("upper", 1) else torch.tril
    return build.call(function, build.tensor(node.value()), 0 if shift is None else int(shift))  # type: ignore[no-any-return]


@operator("EyeLike")
def eye_like(build: Builder, node: Operator) -> Value:
    """Ones on the diagonal of a matrix of another one's shape."""
    from netslim.models.onnx_import.rules.shapes import DTYPES

    given = build.tensor(node.value())
    if node.attributes.get("k", 0):
        raise node.refusal("has another diagonal")
    sides = [_side(build, given, at) for at in (0, 1)]
    kind = DTYPES.get(int(node.attributes.get("dtype", 0)), build.like(given).dtype)
    return build.call(torch.eye, *sides, dtype=kind)  # type: ignore[no-any-return]


@operator("ReverseSequence")
def reverse_sequence(build: Builder, node: Operator) -> Value:
    """Sequences backwards, each as a whole."""
    given, lengths = build.tensor(node.value()), node.constant(1)
    axis = int(node.attributes.get("time_axis", 0))
    if lengths is None or bool((lengths != build.like(given).shape[axis]).any()):
        raise node.refusal("turns a part of a sequence")
    return build.call(torch.flip, given, [axis])  # type: ignore[no-any-return]


@operator("CumSum")
def cumsum(build: Builder, node: Operator) -> Value:
    """Sums along an axis, from either end, with or without the number itself."""
    given, axis = build.tensor(node.value()), node.constant(1)
    dim, backwards = (0 if axis is None else int(axis)), bool(node.attributes.get("reverse", 0))
    turned = build.call(torch.flip, given, [dim]) if backwards else given
    result = build.call(torch.cumsum, turned, dim)
    if node.attributes.get("exclusive", 0):
        result = build.call(torch.sub, result, turned)
    return build.call(torch.flip, result, [dim]) if backwards else result  # type: ignore[no-any-return]
