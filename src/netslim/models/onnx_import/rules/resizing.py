"""Images brought to another size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.operators import Operator, operator
from netslim.models.onnx_import.values import Constant, Number, Value

_PLACES: dict[str, Callable[[int, int, int, float], float]] = {  # place in the new row, its length, the old, the scale
    "half_pixel": lambda at, new, old, scale: (at + 0.5) / scale - 0.5,  # noqa: ARG005
    "pytorch_half_pixel": lambda at, new, old, scale: (at + 0.5) / scale - 0.5 if new > 1 else 0.0,  # noqa: ARG005
    "asymmetric": lambda at, new, old, scale: at / scale,  # noqa: ARG005
    "align_corners": lambda at, new, old, scale: at * (old - 1) / (new - 1) if new > 1 else 0.0,  # noqa: ARG005
}
_ROUNDED: dict[str, Callable[[float], int]] = {
    "floor": math.floor,
    "ceil": math.ceil,
    "round_prefer_floor": lambda place: math.ceil(place - 0.5),
    "round_prefer_ceil": lambda place: math.floor(place + 0.5),
}


@operator("Resize", "Upsample")
def resize(build: Builder, node: Operator) -> Value:
    """By torch's `interpolate` where it has the same rule; else row by row, at the example's sizes."""
    given = build.tensor(node.value())
    dims, old = build.like(given).dim(), build.like(given).shape
    if node.attributes.get("axes") not in (None, [*range(dims)]):
        raise node.refusal("resizes some axes only")
    sizes, scales = _wanted(build, node, old)
    if any(math.floor(side * scale + 1e-6) != side for side, scale in zip(old[:2], scales[:2], strict=True)):
        raise node.refusal("resizes the batch or the channels")
    mode, rule = node.attributes.get("mode", "nearest"), _rule(node)
    found = _torchs(mode, rule, node, dims)
    if found is not None:
        kind, corners = found
        if sizes is None:
            return build.call(F.interpolate, given, None, [*scales[2:]], kind, corners)  # type: ignore[no-any-return]
        return build.call(F.interpolate, given, [*sizes[2:]], None, kind, corners)  # type: ignore[no-any-return]
    lengths = [math.floor(side * scale + 1e-6) for side, scale in zip(old, scales, strict=True)]
    if sizes is not None:
        lengths = [int(side.value) for side in sizes]
    return _by_rows(build, node, given, lengths, scales)


def _wanted(build: Builder, node: Operator, old: Sequence[int]) -> tuple[Sequence[Number] | None, list[float]]:
    """The sides asked for, if they are, and the scales."""
    named = node.kind == "Upsample" or node.opset < 11
    scales = node.constant(1 if named else 2) if "scales" not in node.attributes else node.attributes["scales"]
    values = scales.tolist() if isinstance(scales, Tensor) else [float(scale) for scale in scales or ()]
    if values:
        return None, values
    sizes = build.numbers(node.input(3))
    if sizes is None or len(sizes.items) != len(old):
        raise node.refusal("has neither sizes nor scales that are known")
    return sizes.items, [new / side for new, side in zip(sizes.values, old, strict=True)]


def _rule(node: Operator) -> str:
    """How places of pixels are counted."""
    usual = "asymmetric" if node.kind == "Upsample" or node.opset < 11 else "half_pixel"
    rule = str(node.attributes.get("coordinate_transformation_mode", usual))
    if rule not in _PLACES or node.attributes.get("antialias", 0) or node.attributes.get("exclude_outside", 0):
        raise node.refusal(f"has coordinates {rule}, antialias or exclude_outside, which are not followed")
    return rule


def _torchs(mode: str, rule: str, node: Operator, dims: int) -> tuple[str, bool | None] | None:
    """torch's name of a kind of interpolation, and its `align_corners`; None where it has none."""
    nearest = node.attributes.get("nearest_mode", "floor" if node.opset < 11 else "round_prefer_floor")
    if mode == "nearest":
        return ("nearest", None) if (rule, nearest) == ("asymmetric", "floor") else None
    names = {"linear": {3: "linear", 4: "bilinear", 5: "trilinear"}, "cubic": {4: "bicubic"}}
    kind = names.get(mode, {}).get(dims)
    if mode == "cubic" and (kind is None or node.attributes.get("cubic_coeff_a", -0.75) != -0.75):
        raise node.refusal("is cubic with a coefficient other than -0.75, or not over images")
    if kind is None or rule == "asymmetric":
        return None
    return kind, rule == "align_corners"


def _by_rows(build: Builder, node: Operator, given: Value, lengths: Sequence[int], scales: Sequence[float]) -> Value:
    """Each axis by itself: pixels picked, or weighed by a matrix."""
    mode, rule = str(node.attributes.get("mode", "nearest")), _PLACES[_rule(node)]
    if mode not in ("nearest", "linear"):
        raise node.refusal(f"has mode {mode} with coordinates that torch has not")
    nearest = _ROUNDED[str(node.attributes.get("nearest_mode", "floor" if node.opset < 11 else "round_prefer_floor"))]
    result: Value = given
    for axis in range(2, len(lengths)):
        old, new = build.like(given).shape[axis], lengths[axis]
        places = [rule(at, new, old, scales[axis]) for at in range(new)]
        if mode == "nearest":
            picked = torch.tensor([min(max(nearest(place), 0), old - 1) for place in places])
            result = build.call(torch.index_select, result, axis, Constant(picked))
        elif new != old:
            turned = build.call(torch.transpose, result, axis, -1)
            weighed = build.call(torch.matmul, turned, Constant(_weights(places, old)))
            result = build.call(torch.transpose, weighed, axis, -1)
    return result


def _weights(places: Sequence[float], old: int) -> Tensor:
    """Of each old pixel in each new one, (old, new)."""
    weights = torch.zeros(old, len(places))
    for at, place in enumerate(places):
        inside = min(max(place, 0.0), old - 1.0)
        low = min(math.floor(inside), old - 1)
        high = min(low + 1, old - 1)
        weights[low, at] += 1 - (inside - low)
        weights[high, at] += inside - low
    return weights
