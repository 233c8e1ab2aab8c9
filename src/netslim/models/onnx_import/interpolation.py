"""What each old pixel weighs in each new one along an axis that ONNX's `Resize` changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis: from `old` pixels to `new` ones, by a factor that need not be their quotient.

    Attributes:
        old, new: lengths.
        scale: new by old.
        roi: start and end of what is cut out, as shares of the old length; of `tf_crop_and_resize` alone.
    """

    old: int
    new: int
    scale: float
    roi: tuple[float, float] = (0.0, 1.0)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is cut out."""
        return self.roi == (0.0, 1.0)

    @property
    def single(self) -> np.float32:
        """The scale in single precision, as ONNX Runtime has it: where a place is between two pixels, it decides."""
        return np.float32(self.scale)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """ONNX's attributes of the same names."""

    mode: str
    coordinates: str
    nearest: str = "round_prefer_floor"
    cubic: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False


def _symmetric(at: np.float32, axis: Axis) -> np.float32:
    offset = axis.old / 2 * (1 - axis.new / (axis.single * axis.old))
    return offset + (at + 0.5) / axis.single - 0.5


def _cropped(at: np.float32, axis: Axis) -> np.float32:
    start, end = map(np.float32, axis.roi)
    if axis.new == 1:
        return 0.5 * (start + end) * (axis.old - 1)
    return start * (axis.old - 1) + at * (end - start) * (axis.old - 1) / (axis.new - 1)


PLACES: Mapping[str, Callable[[np.float32, Axis], float | np.float32]] = {  # of a new pixel, in the old row
    "half_pixel": lambda at, axis: (at + 0.5) / axis.single - 0.5,
    "half_pixel_symmetric": _symmetric,
    "pytorch_half_pixel": lambda at, axis: (at + 0.5) / axis.single - 0.5 if axis.new > 1 else 0.0,
    "asymmetric": lambda at, axis: at / axis.single,
    "align_corners": lambda at, axis: at * (axis.old - 1) / (axis.new - 1) if axis.new > 1 else 0.0,
    "tf_half_pixel_for_nn": lambda at, axis: (at + 0.5) / axis.single,
    "tf_crop_and_resize": _cropped,
}
ROUNDED: Mapping[str, Callable[[float], int]] = {
    "floor": math.floor,
    "ceil": math.ceil,
    "round_prefer_floor": lambda place: math.ceil(place - 0.5),
    "round_prefer_ceil": lambda place: math.floor(place + 0.5),
}


def places(axis: Axis, settings: Settings) -> list[float]:
    """Of the new pixels, in the old row."""
    rule = PLACES[settings.coordinates]
    if axis.scale == 1 and axis.is_whole:
        return [float(at) for at in range(axis.new)]
    return [float(rule(np.float32(at), axis)) for at in range(axis.new)]


def nearest(axis: Axis, settings: Settings) -> Tensor:
    """The old pixel that each new one is."""
    pick = ROUNDED[settings.nearest]
    return torch.tensor([min(max(pick(place), 0), axis.old - 1) for place in places(axis, settings)])


def outside(axis: Axis, settings: Settings) -> Tensor:
    """Which new pixels are of places before the first old pixel or after the last."""
    return torch.tensor([place < 0 or place > axis.old - 1 for place in places(axis, settings)])


def weights(axis: Axis, settings: Settings) -> Tensor:
    """Of each old pixel in each new one, (old, new), of modes linear and cubic.

    What is beyond the border is the pixel at the border, or left out with `exclude_outside`. With `antialias` a filter
    is as much wider as the image becomes smaller.
    """
    found = torch.zeros(axis.old, axis.new, dtype=torch.float64)
    wide = max(1.0, 1 / axis.scale) if settings.antialias else 1.0
    reach = (1 if settings.mode == "linear" else 2) * wide
    for new, place in enumerate(places(axis, settings)):
        at = min(max(place, 0.0), axis.old - 1.0) if settings.mode == "linear" and not settings.antialias else place
        for old in range(math.floor(at - reach), math.ceil(at + reach) + 1):
            if settings.exclude_outside and not 0 <= old < axis.old:
                continue
            found[min(max(old, 0), axis.old - 1), new] += _filter((old - at) / wide, settings)
    return (found / found.sum(0, keepdim=True)).float()


def _filter(distance: float, settings: Settings) -> float:
    """Keys (1981), "Cubic convolution interpolation for digital image processing", or a triangle."""
    far, a = abs(distance), settings.cubic
    if settings.mode == "linear":
        return max(0.0, 1 - far)
    if far < 1:
        return ((a + 2) * far - (a + 3)) * far * far + 1
    return (((far - 5) * far + 8) * far - 4) * a if far < 2 else 0.0
