"""What makes one number of many: means, sums, extrema and where they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce as fold
from operator import add, mul, sub
from typing import Any

import torch

from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.operators import Operator, operator
from netslim.models.onnx_import.values import Activation, Number, Numbers, Value

_REDUCED: Mapping[str, Callable[..., Any]] = {
    **{"ReduceMean": torch.mean, "ReduceSum": torch.sum, "ReduceMax": torch.amax, "ReduceMin": torch.amin},
    **{"ReduceL2": torch.sum, "ReduceSumSquare": torch.sum, "ReduceL1": torch.sum, "ReduceLogSumExp": torch.logsumexp},
    "ReduceLogSum": torch.sum,
}
_BEFORE: Mapping[str, Callable[..., Any]] = {
    **{"ReduceL2": torch.square, "ReduceSumSquare": torch.square, "ReduceL1": torch.abs},
}
_OF_SIZES: Mapping[str, Callable[..., Any]] = {"ReduceMax": max, "ReduceMin": min, "ReduceSum": add, "ReduceProd": mul}
_AFTER: Mapping[str, Callable[..., Any]] = {"ReduceL2": torch.sqrt, "ReduceLogSum": torch.log}


@operator(*_REDUCED)
def reduced(build: Builder, node: Operator) -> Value:
    """Over some axes, or all; axes are an attribute before operator set 13 or 18, an input since."""
    sizes, axes = node.value(), node.integers("axes", 1)
    if isinstance(sizes, Numbers) and node.kind in _OF_SIZES and axes in (None, [], [0], [-1]):
        made = fold(lambda left, right: build.number(_OF_SIZES[node.kind], left, right), sizes.items)
        return Numbers((made,), scalar=not node.attributes.get("keepdims", 1))
    given = build.tensor(sizes)
    if not axes:
        if node.attributes.get("noop_with_empty_axes", 0):
            return given
        axes = [*range(build.like(given).dim())]
    keep = bool(node.attributes.get("keepdims", 1))
    if node.kind in _BEFORE:
        given = build.call(_BEFORE[node.kind], given)
    result = build.call(_REDUCED[node.kind], given, axes, keep)
    after = _AFTER.get(node.kind)
    return result if after is None else build.call(after, result)  # type: ignore[no-any-return]


@operator("ReduceProd")
def product(build: Builder, node: Operator) -> Value:
    """The product of sizes, or along axes."""
    axes = node.integers("axes", 1)
    if isinstance(node.value(), Numbers) and axes in (None, [], [0], [-1]):
        return reduced(build, node)  # type: ignore[return-value]
    result = build.tensor(node.value())
    for axis in sorted(axes or range(build.like(result).dim()), reverse=True):
        result = build.call(torch.prod, result, axis, bool(node.attributes.get("keepdims", 1)))
    return result


@operator("ArgMax", "ArgMin")
def arg_extremum(build: Builder, node: Operator) -> Value:
    """Where the largest or smallest along an axis is."""
    given = build.tensor(node.value())
    function = torch.argmax if node.kind == "ArgMax" else torch.argmin
    axis, keep = int(node.attributes.get("axis", 0)), bool(node.attributes.get("keepdims", 1))
    if not node.attributes.get("select_last_index", 0):
        return build.call(function, given, axis, keep)  # type: ignore[no-any-return]
    last = build.call(function, build.call(torch.flip, given, [axis]), axis, keep)
    if not isinstance(given, Activation):
        raise node.refusal("takes the last of several constants")
    return build.call(torch.rsub, last, build.number(sub, build.size(given, axis), 1))  # type: ignore[no-any-return]


@operator("TopK")
def top_k(build: Builder, node: Operator) -> tuple[Value, ...]:
    """The largest along an axis, and where they are."""
    count = Numbers((Number(int(node.attributes["k"])),)) if "k" in node.attributes else build.numbers(node.value(1))
    if count is None:
        raise node.refusal("gives as many as the network computes")
    axis = int(node.attributes.get("axis", -1))
    largest, ordered = (bool(node.attributes.get(name, 1)) for name in ("largest", "sorted"))
    return tuple(build.call(torch.topk, node.value(), count.items[0], axis, largest, ordered))
