"""Operations of two or more tensors, number by number."""

from __future__ import annotations

import math
import operator as python
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import torch

from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.operators import Operator, operator
from netslim.models.onnx_import.values import Activation, Constant, Number, Numbers, Value

_TORCH: Mapping[str, Callable[..., Any]] = {
    **{"Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div, "Pow": torch.pow},
    **{"Equal": torch.eq, "Less": torch.lt, "LessOrEqual": torch.le, "Greater": torch.gt},
    **{"GreaterOrEqual": torch.ge, "And": torch.logical_and, "Or": torch.logical_or, "Xor": torch.logical_xor},
}
_OF_NUMBERS: Mapping[str, Callable[..., Any]] = {
    **{"Add": python.add, "Sub": python.sub, "Mul": python.mul, "Equal": python.eq, "Less": python.lt},
    **{"Greater": python.gt, "GreaterOrEqual": python.ge, "LessOrEqual": python.le, "Mod": python.mod},
    **{"And": python.and_, "Or": python.or_, "Xor": python.xor},
}
_SEVERAL: Mapping[str, Callable[..., Any]] = {
    **{"Sum": torch.add, "Mean": torch.add, "Max": torch.maximum, "Min": torch.minimum},
}
_CHOSEN: Mapping[str, Callable[..., Any]] = {"Max": max, "Min": min}


@operator(*_TORCH)
def two(build: Builder, node: Operator) -> Value:
    """An operation of two tensors, or of what is known of sizes."""
    first, second = node.value(0), node.value(1)
    if isinstance(first, Numbers) or isinstance(second, Numbers):
        done = _of_numbers(build, node, build.numbers(first), build.numbers(second))
        if done is not None:
            return done
    first, second = build.tensor(first), build.tensor(second)
    whole = not any(build.like(value).is_floating_point() for value in (first, second))
    if node.kind == "Div" and whole:
        return build.call(torch.div, first, _plain(second, first, build), rounding_mode="trunc")  # type: ignore[no-any-return]
    if isinstance(first, Constant) and node.kind in ("Add", "Mul"):
        first, second = second, first
    if node.kind == "Pow" and isinstance(first, Constant) and isinstance(second, Constant):
        return build.call(torch.pow, first, second)  # type: ignore[no-any-return]
    if node.kind == "Add" and isinstance(first, Activation) and _is_shift(node, second):
        second = _per_channel(second, first)
    return build.call(_TORCH[node.kind], first, _plain(second, first, build))  # type: ignore[no-any-return]


def _is_shift(node: Operator, value: Value) -> bool:
    """Whether one number is added to images, and no hard-swish is made of it: a bias that all channels share."""
    if not isinstance(value, Constant) or not value.name or not value.tensor.is_floating_point():
        return False
    return value.tensor.numel() == 1 and not {"Clip", "Relu", "Min", "Sqrt", "Div"}.intersection(node.takers)


def _per_channel(value: Value, images: Activation) -> Value:
    """One number for each channel, so that a channel can go with its own."""
    if not isinstance(value, Constant) or images.like.dim() != 4:
        return value
    return Constant(value.tensor.reshape(1).repeat(images.like.shape[1]).reshape(-1, 1, 1), value.name)


def _plain(value: Value, other: Value, build: Builder) -> Any:
    """A single number of the file as Python's, where it makes the other neither longer nor of another type."""
    if not isinstance(value, Constant) or value.tensor.numel() != 1 or isinstance(other, Constant):
        return value
    mine, others = value.tensor, build.like(other)
    if mine.dim() > others.dim() or mine.is_floating_point() != others.is_floating_point():
        return value
    return mine.item()


def _of_numbers(build: Builder, node: Operator, first: Numbers | None, second: Numbers | None) -> Numbers | None:
    """The same of sizes; None where one side is none."""
    function = _OF_NUMBERS.get(node.kind)
    if first is None or second is None:
        return None
    if node.kind == "Div":
        real = any(isinstance(value, float) for value in (*first.values, *second.values))
        function = python.truediv if real else python.floordiv
    if function is None:
        return None
    count = max(len(first.items), len(second.items))
    if any(len(side.items) not in (1, count) for side in (first, second)):
        raise node.refusal("is of vectors of two lengths")
    pairs = zip(_spread(first, count), _spread(second, count), strict=True)
    return Numbers(tuple(build.number(function, *pair) for pair in pairs), scalar=first.scalar and second.scalar)


def _spread(side: Numbers, count: int) -> tuple[Number, ...]:
    return side.items * count if len(side.items) == 1 else side.items


@operator("Floor", "Ceil")
def rounded(build: Builder, node: Operator) -> Value:
    """To the next whole number below or above."""
    given = node.value()
    if isinstance(given, Numbers):
        function = math.floor if node.kind == "Floor" else math.ceil
        items = (build.number(float, build.number(function, item)) for item in given.items)
        return Numbers(tuple(items), scalar=given.scalar)
    return build.call(torch.floor if node.kind == "Floor" else torch.ceil, given)  # type: ignore[no-any-return]


@operator("Mod")
def mod(build: Builder, node: Operator) -> Value:
    """The rest of a division: with the divisor's sign, or with `fmod` the dividend's."""
    known = [build.numbers(node.value(place)) for place in (0, 1)]
    if any(isinstance(node.value(place), Numbers) for place in (0, 1)):
        done = _of_numbers(build, node, *known)
        if done is not None:
            return done
    function = torch.fmod if node.attributes.get("fmod", 0) else torch.remainder
    return build.call(function, *(build.tensor(node.value(place)) for place in (0, 1)))  # type: ignore[no-any-return]


@operator(*_SEVERAL)
def several(build: Builder, node: Operator) -> Value:
    """Of any number of tensors, one after another."""
    values = [node.value(place) for place in range(len(node.inputs))]
    if node.kind in _CHOSEN and any(isinstance(value, Numbers) for value in values):
        done = _chosen(build, _CHOSEN[node.kind], values)
        if done is not None:
            return done
    given: list[Value] = [build.tensor(value) for value in values]
    if node.kind in _CHOSEN:
        return reduce(lambda left, right: _extreme(build, node.kind, left, right), given)
    result: Value = reduce(lambda left, right: build.call(_SEVERAL[node.kind], left, right), given)
    if node.kind != "Mean":
        return result
    return build.call(torch.div, result, len(given))  # type: ignore[no-any-return]


def _extreme(build: Builder, kind: str, first: Value, second: Value) -> Value:
    """The larger or smaller; of a tensor and one number as `clamp` has it, which lets channels go."""
    if isinstance(first, Constant):
        first, second = second, first
    bound = _plain(second, first, build)
    if isinstance(bound, int | float):
        return build.call(torch.clamp, first, **{"min" if kind == "Max" else "max": bound})  # type: ignore[no-any-return]
    return build.call(_SEVERAL[kind], first, second)  # type: ignore[no-any-return]


def _chosen(build: Builder, function: Callable[..., Any], values: Sequence[Value]) -> Numbers | None:
    """The largest or smallest of sizes; None where one side is none."""
    known = [side for side in map(build.numbers, values) if side is not None]
    count = max(len(side.items) for side in known)
    if len(known) < len(values) or any(len(side.items) not in (1, count) for side in known):
        return None
    rows = zip(*(_spread(side, count) for side in known), strict=True)
    items = tuple(reduce(lambda left, right: build.number(function, left, right), row) for row in rows)
    return Numbers(items, scalar=all(side.scalar for side in known))


@operator("Where")
def where(build: Builder, node: Operator) -> Value:
    """One of two, as a third says; sizes stay sizes where the choice is known."""
    condition, *others = (node.value(place) for place in range(3))
    known = [build.numbers(value) for value in (condition, *others)]
    if any(isinstance(value, Numbers) for value in (condition, *others)) and all(side is not None for side in known):
        chosen, yes, no = (side for side in known if side is not None)
        count = max(len(side.items) for side in (chosen, yes, no))
        rows = zip(*(_spread(side, count) for side in (chosen, yes, no)), strict=True)
        return Numbers(tuple(right if which.value else wrong for which, right, wrong in rows), scalar=yes.scalar)
    return build.call(torch.where, *(build.tensor(value) for value in (condition, *others)))  # type: ignore[no-any-return]


@operator("Einsum")
def einsum(build: Builder, node: Operator) -> Value:
    """Sums of products, as an equation says."""
    given = [build.tensor(node.value(place)) for place in range(len(node.inputs))]
    return build.call(torch.einsum, str(node.attributes["equation"]).replace(" ", ""), *given)  # type: ignore[no-any-return]
