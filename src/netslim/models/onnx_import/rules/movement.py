"""What puts numbers elsewhere and computes none: joining, cutting, turning, picking."""

from __future__ import annotations

from operator import floordiv, getitem, mul
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.operators import Operator, activation, operator
from netslim.models.onnx_import.values import Constant, Number, Numbers, Table, Value, rearranged

_FAR = 2**31 - 1  # "to the end", as exporters write it


@operator("Concat")
def concat(build: Builder, node: Operator) -> Value:
    """Tensors one after another, or sizes."""
    values = [node.value(place) for place in range(len(node.inputs))]
    known = [build.numbers(value) for value in values]
    if any(isinstance(value, Numbers) for value in values) and all(side is not None for side in known):
        return Numbers(tuple(item for side in known if side is not None for item in side.items))
    tensors = [build.tensor(value) for value in values]
    return build.call(torch.cat, tensors, int(node.attributes.get("axis", 1)))  # type: ignore[no-any-return]


@operator("Split")
def split(build: Builder, node: Operator) -> tuple[Value, ...]:
    """Parts along an axis; equal ones follow the number of channels."""
    given, sizes, count = build.tensor(node.value()), node.integers("split", 1), len(node.outputs)
    axis = int(node.attributes.get("axis", 0))
    side = build.like(given).shape[axis]
    if sizes is None:
        each = -(-side // int(node.attributes.get("num_outputs", count)))
        sizes = [each] * (side // each) + ([side % each] if side % each else [])
    if len(set(sizes)) == 1 and count == len(sizes):
        return tuple(build.call(torch.chunk, given, count, axis))
    return tuple(build.call(torch.split, given, sizes, axis))


@operator("Slice")
def sliced(build: Builder, node: Operator) -> Value:
    """Ranges along axes: attributes before operator set 10, inputs since."""
    given = node.value()
    if "starts" in node.attributes:
        limits = [Numbers(tuple(map(Number, node.attributes[name]))) for name in ("starts", "ends")]
    else:
        found = [build.numbers(node.value(place)) for place in (1, 2)]
        limits = [side for side in found if side is not None]
        if len(limits) < 2:
            raise node.refusal("is cut at places that the network computes")
    starts, ends = limits
    axes = node.integers("axes", 3) or [*range(len(starts.items))]
    steps = node.integers("steps", 4) or [1] * len(axes)
    if isinstance(given, Numbers | Table):
        cuts = [*zip(axes, starts.values, ends.values, steps, strict=True)]
        return rearranged(given, lambda places: _cut(places, cuts))
    turned = [axis for axis, step in zip(axes, steps, strict=True) if step < 0]
    if turned:
        return _backwards(build, node, given, axes, (starts, ends), steps)
    ranges: list[Any] = [slice(None)] * build.like(given).dim()
    for axis, begin, end, step in zip(axes, starts.items, ends.items, steps, strict=True):
        ranges[axis] = slice(begin, None if abs(end.value) >= _FAR else end, step)
    return build.call(getitem, given, tuple(ranges))  # type: ignore[no-any-return]


def _cut(places: Tensor, cuts: list[tuple[int, float, float, int]]) -> Tensor:
    for axis, begin, end, step in cuts:
        side = places.shape[axis]
        chosen = [*range(side)][slice(int(begin), None if end <= -side - 1 else int(end), step)]
        places = places.index_select(axis, torch.tensor(chosen, dtype=torch.int64))
    return places


def _backwards(
    build: Builder, node: Operator, given: Value, axes: list[int], limits: tuple[Numbers, Numbers], steps: list[int]
) -> Value:
    """Ranges of which some run backwards, at the example's sizes."""
    for axis, begin, end, step in zip(axes, limits[0].values, limits[1].values, steps, strict=True):
        side = build.like(given).shape[axis]
        chosen = [*range(side)[slice(int(begin), None if end <= -side - 1 else int(end), step)]]
        if step == -1 and len(chosen) == side:
            given = build.call(torch.flip, given, [axis])
        else:
            given = build.call(torch.index_select, given, axis, Constant(torch.tensor(chosen, dtype=torch.int64)))
    if not node.outputs:
        raise node.refusal("has no output")
    return given


@operator("Transpose")
def transpose(build: Builder, node: Operator) -> Value:
    """Dimensions in another order."""
    table = node.value()
    if isinstance(table, Table):
        turned = [int(dim) for dim in node.attributes.get("perm") or reversed(range(len(table.shape)))]
        return rearranged(table, lambda places: places.permute(turned))
    given = build.tensor(table)
    order = node.attributes.get("perm") or [*reversed(range(build.like(given).dim()))]
    return build.call(torch.permute, given, [int(dim) for dim in order])  # type: ignore[no-any-return]


@operator("Tile")
def tile(build: Builder, node: Operator) -> Value:
    """Repeated along each axis."""
    repeats = build.numbers(node.value(1))
    if repeats is None:
        raise node.refusal("is repeated as the network computes")
    return build.call(torch.tile, build.tensor(node.value()), repeats.items)  # type: ignore[no-any-return]


@operator("DepthToSpace")
def depth_to_space(build: Builder, node: Operator) -> Value:
    """Channels into pixels, in either of ONNX's two orders."""
    block = int(node.attributes["blocksize"])
    if node.attributes.get("mode", "DCR") == "CRD":
        return build.call(F.pixel_shuffle, node.value(), block)  # type: ignore[no-any-return]
    given = activation(node)
    batch, _, height, width = (build.size(given, dim) for dim in range(4))
    apart = build.call(torch.reshape, given, (batch, block, block, -1, height, width))
    turned = build.call(torch.permute, apart, (0, 3, 4, 1, 5, 2))
    high, wide = (build.number(mul, side, block) for side in (height, width))
    return build.call(torch.reshape, turned, (batch, -1, high, wide))  # type: ignore[no-any-return]


@operator("SpaceToDepth")
def space_to_depth(build: Builder, node: Operator) -> Value:
    """Pixels into channels, in ONNX's order."""
    block, given = int(node.attributes["blocksize"]), activation(node)
    batch, channels, height, width = (build.size(given, dim) for dim in range(4))
    high, wide = (build.number(floordiv, side, block) for side in (height, width))
    apart = build.call(torch.reshape, given, (batch, channels, high, block, wide, block))
    turned = build.call(torch.permute, apart, (0, 3, 5, 1, 2, 4))
    return build.call(torch.reshape, turned, (batch, -1, high, wide))  # type: ignore[no-any-return]
