"""Images brought to another size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.interpolation import PLACES, Axis, Settings, nearest, outside, weights
from netslim.models.onnx_import.operators import Operator, operator
from netslim.models.onnx_import.values import Constant, Number, Value

_LINEAR = {3: "linear", 4: "bilinear", 5: "trilinear"}
_LAST = (0, 3, 1, 2)  # channels last to channels first


@dataclass(frozen=True)
class _Asked:
    """The size that is asked for.

    Attributes:
        axes: each, with its lengths at the example's sizes.
        sizes: all sides, where the file says sizes; else None.
    """

    axes: tuple[Axis, ...]
    sizes: tuple[Number, ...] | None

    def permuted(self, order: Sequence[int]) -> _Asked:
        sizes = self.sizes and tuple(self.sizes[at] for at in order)
        return _Asked(tuple(self.axes[at] for at in order), sizes)


@operator("Resize", "Upsample")
def resize(build: Builder, node: Operator) -> Value:
    """By torch's `interpolate` where it has the same rule; else axis by axis, at the example's sizes."""
    given = build.tensor(node.value())
    asked, settings = _asked(build, node, build.like(given).shape), _settings(node)
    if [_stays(axis) for axis in asked.axes] == [True, False, False, True]:  # channels last
        turned = build.call(torch.permute, given, _LAST)
        made = _resized(build, node, turned, asked.permuted(_LAST), settings)
        return build.call(torch.permute, made, (0, 2, 3, 1))  # type: ignore[no-any-return]
    return _resized(build, node, given, asked, settings)


def _stays(axis: Axis) -> bool:
    return axis.old == axis.new and axis.scale == 1


def _resized(build: Builder, node: Operator, given: Value, asked: _Asked, settings: Settings) -> Value:
    found = _torchs(asked, settings)
    if found is None:
        return _by_axes(build, node, given, asked, settings)
    kind, corners = found
    if asked.sizes is None:
        scales = [axis.scale for axis in asked.axes[2:]]
        return build.call(F.interpolate, given, None, scales, kind, corners)  # type: ignore[no-any-return]
    return build.call(F.interpolate, given, [*asked.sizes[2:]], None, kind, corners)  # type: ignore[no-any-return]


def _settings(node: Operator) -> Settings:
    """Raises CheckpointError for what ONNX does not have."""
    old = node.kind == "Upsample" or node.opset < 11
    rule = str(node.attributes.get("coordinate_transformation_mode", "asymmetric" if old else "half_pixel"))
    mode = str(node.attributes.get("mode", "nearest"))
    mode = "linear" if mode == "bilinear" else mode
    antialias = bool(node.attributes.get("antialias", 0)) and mode != "nearest"
    if mode not in ("nearest", "linear", "cubic") or rule not in PLACES:
        raise node.refusal(f"has mode {mode} with coordinates {rule}, which are not known")
    return Settings(
        mode=mode,
        coordinates=rule,
        nearest=str(node.attributes.get("nearest_mode", "floor" if old else "round_prefer_floor")),
        cubic=float(node.attributes.get("cubic_coeff_a", -0.75)),
        exclude_outside=bool(node.attributes.get("exclude_outside", 0)) and (mode == "cubic" or antialias),
        antialias=antialias,
    )


def _asked(build: Builder, node: Operator, shape: Sequence[int]) -> _Asked:
    """All axes; those that `axes` leaves out stay."""
    axes = [int(axis) % len(shape) for axis in node.attributes.get("axes", range(len(shape)))]
    scales, sizes = _scales(node), build.numbers(node.input(3))
    if scales is None and (sizes is None or len(sizes.items) != len(axes)):
        raise node.refusal("has neither sizes nor scales that are known")
    if scales is not None and len(scales) != len(axes):
        raise node.refusal(f"has {len(scales)} scales for {len(axes)} axes")
    roi = _roi(node, len(axes))
    found = [Axis(old=side, new=side, scale=1.0) for side in shape]
    if scales is not None:
        for at, axis in enumerate(axes):
            new = math.floor(shape[axis] * scales[at] + 1e-6)
            found[axis] = Axis(old=shape[axis], new=new, scale=scales[at], roi=roi[at])
        return _Asked(tuple(found), None)
    items, kept = _kept_aspect(node, sizes.items if sizes else (), [shape[axis] for axis in axes])
    sides: list[Number] = [Number(side) for side in shape]
    for at, axis in enumerate(axes):
        new, sides[axis] = int(items[at].value), items[at]
        found[axis] = Axis(old=shape[axis], new=new, scale=kept or new / shape[axis], roi=roi[at])
    return _Asked(tuple(found), None if kept else tuple(sides))


def _scales(node: Operator) -> list[float] | None:
    """An attribute in the oldest operator set, then the second input, then the third."""
    named = node.kind == "Upsample" or node.opset < 11
    scales = node.constant(1 if named else 2) if "scales" not in node.attributes else node.attributes["scales"]
    values = scales.tolist() if isinstance(scales, Tensor) else scales or ()
    return [float(str(np.float32(scale))) for scale in values] or None  # 1.3, not the double that is next to it


def _roi(node: Operator, count: int) -> list[tuple[float, float]]:
    if node.attributes.get("coordinate_transformation_mode") != "tf_crop_and_resize":
        return [(0.0, 1.0)] * count
    roi = node.constant(1)
    if roi is None or roi.numel() != 2 * count:
        raise node.refusal(f"has no region of {2 * count} numbers")
    values = roi.flatten().tolist()
    return [*zip(values[:count], values[count:], strict=True)]


def _kept_aspect(node: Operator, sizes: Sequence[Number], old: Sequence[int]) -> tuple[Sequence[Number], float | None]:
    """The sizes; with a policy those of one scale, and it."""
    policy = node.attributes.get("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return sizes, None
    scales = [size.value / side for size, side in zip(sizes, old, strict=True)]
    scale = min(scales) if policy == "not_larger" else max(scales)
    return [Number(math.floor(side * scale + 0.5)) for side in old], scale


def _torchs(asked: _Asked, settings: Settings) -> tuple[str, bool | None] | None:
    """torch's name of a kind of interpolation, and its `align_corners`; None where it has none."""
    mode, rule = settings.mode, settings.coordinates
    if not all(map(_stays, asked.axes[:2])) or settings.antialias or settings.exclude_outside:
        return None
    if mode == "nearest":
        return ("nearest", None) if (rule, settings.nearest) == ("asymmetric", "floor") else None
    kind = _LINEAR.get(len(asked.axes)) if mode == "linear" else "bicubic" if len(asked.axes) == 4 else None
    if kind is None or rule not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        return None
    if asked.sizes is None and any(axis.new != math.floor(axis.old * axis.scale) for axis in asked.axes):
        return None
    alone = rule == "pytorch_half_pixel" and any(axis.new == 1 for axis in asked.axes[2:])
    if alone or (mode == "cubic" and settings.cubic != -0.75):
        return None
    return kind, rule == "align_corners"


def _by_axes(build: Builder, node: Operator, given: Value, asked: _Asked, settings: Settings) -> Value:
    """Each axis by itself: pixels picked, or weighed by a matrix."""
    result = given
    for at, axis in enumerate(asked.axes):
        if _stays(axis) and axis.is_whole:
            continue
        if settings.mode == "nearest":
            result = build.call(torch.index_select, result, at, Constant(nearest(axis, settings)))
        else:
            turned = build.call(torch.transpose, result, at, -1)
            weighed = build.call(torch.matmul, turned, Constant(weights(axis, settings)))
            result = build.call(torch.transpose, weighed, at, -1)
    if settings.coordinates != "tf_crop_and_resize":
        return result
    value = float(node.attributes.get("extrapolation_value", 0))
    return build.call(torch.masked_fill, result, Constant(_beyond(asked, settings)), value)  # type: ignore[no-any-return]


def _beyond(asked: _Asked, settings: Settings) -> Tensor:
    """Which pixels are of no place within the image, for any number of images and channels."""
    found = torch.zeros([axis.new if not _stays(axis) else 1 for axis in asked.axes], dtype=torch.bool)
    for at, axis in enumerate(asked.axes):
        if found.shape[at] > 1 or not axis.is_whole:
            found |= outside(axis, settings).reshape([-1 if dim == at else 1 for dim in range(found.dim())])
    return found
