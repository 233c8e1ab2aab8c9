"""Padding of windows, and borders around tensors: of one value, mirrored, repeated or from the other end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import getitem

import torch
import torch.nn.functional as F

from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.operators import Operator, operator
from netslim.models.onnx_import.values import Number, Numbers, Value

Pairs = Mapping[int, tuple[Number, Number]]
_TORCHS = {"edge": "replicate", "reflect": "reflect"}


@operator("Pad")
def pad(build: Builder, node: Operator) -> Value:
    """Widths may follow sizes; torch's own where it has the mode over these dimensions, else axis by axis."""
    given, mode = build.tensor(node.value()), str(node.attributes.get("mode", "constant"))
    pairs = _pairs(build, node, build.like(given).dim())
    if not pairs:
        return given
    if mode == "constant":
        return build.call(F.pad, given, _flat(pairs, build.like(given).dim(), min(pairs)), "constant", _fill(node))  # type: ignore[no-any-return]
    if mode not in _PIECES:
        raise node.refusal(f"has mode {mode} (known: constant, {', '.join(_PIECES)})")
    _check_widths(node, pairs, mode, build.like(given).shape)
    dims = build.like(given).dim()
    first = min(min(pairs), 2) if dims == 4 else min(pairs)  # the two sides of an image together
    if mode in _TORCHS and first > 0 and dims - first in (dims - 1, dims - 2) and dims - first <= 3:
        return build.call(F.pad, given, _flat(pairs, dims, first), _TORCHS[mode])  # type: ignore[no-any-return]
    return _by_axes(build, given, pairs, mode)


def _pairs(build: Builder, node: Operator, dims: int) -> Pairs:
    """Widths before and after, by axis; without axes that get none."""
    named = node.attributes.get("pads", node.attributes.get("paddings"))
    widths = build.numbers(node.input(1)) if named is None else Numbers(tuple(map(Number, named)))
    if widths is None:
        raise node.refusal("has widths that the network computes" if node.input(1) else "has no widths")
    axes = node.integers("axes", 3) or [*range(dims)]
    if len(widths.items) != 2 * len(axes):
        raise node.refusal(f"has {len(widths.items)} widths for {len(axes)} axes")
    items = zip(axes, widths.items, widths.items[len(axes) :], strict=False)
    found = {axis % dims: (before, after) for axis, before, after in items}
    return {axis: pair for axis, pair in found.items() if any(width.value or width.node for width in pair)}


def _fill(node: Operator) -> float:
    value = node.constant(2)
    return float(value) if value is not None else float(node.attributes.get("value", 0))


def _check_widths(node: Operator, pairs: Pairs, mode: str, shape: Sequence[int]) -> None:
    """ONNX Runtime gives what torch does while no number is needed twice over."""
    for axis, pair in pairs.items():
        most = shape[axis] - (mode == "reflect") if mode != "edge" else max(int(width.value) for width in pair)
        if not all(0 <= width.value <= most for width in pair):
            raise node.refusal(f"has mode {mode} with widths of {[int(width.value) for width in pair]}")


def _flat(pairs: Pairs, dims: int, first: int) -> list[Number | int]:
    """As torch takes them: from the last axis on."""
    return [width for axis in range(dims - 1, first - 1, -1) for width in pairs.get(axis, (0, 0))]


def _by_axes(build: Builder, given: Value, pairs: Pairs, mode: str) -> Value:
    for axis, widths in pairs.items():
        around = [
            _PIECES[mode](build, given, axis, int(width.value), at) for at, width in enumerate(widths) if width.value
        ]
        before = around[: 1 if widths[0].value else 0]
        given = build.call(torch.cat, [*before, given, *around[len(before) :]], axis)
    return given


def _whole(widths: tuple[Number, Number]) -> tuple[int, int]:
    return int(widths[0].value), int(widths[1].value)


def _mirrored(build: Builder, given: Value, axis: int, width: int, end: int) -> Value:
    piece = slice(-1 - width, -1) if end else slice(1, 1 + width)
    return build.call(torch.flip, _cut(build, given, axis, piece), [axis])  # type: ignore[no-any-return]


def _repeated(build: Builder, given: Value, axis: int, width: int, end: int) -> Value:
    one = _cut(build, given, axis, slice(-1, None) if end else slice(0, 1))
    return build.call(torch.cat, [one] * width, axis)  # type: ignore[no-any-return]


def _wrapped(build: Builder, given: Value, axis: int, width: int, end: int) -> Value:
    return _cut(build, given, axis, slice(0, width) if end else slice(-width, None))


def _cut(build: Builder, given: Value, axis: int, piece: slice) -> Value:
    return build.call(getitem, given, (*[slice(None)] * axis, piece))  # type: ignore[no-any-return]


_PIECES: Mapping[str, Callable[[Builder, Value, int, int, int], Value]] = {
    "reflect": _mirrored,
    "edge": _repeated,
    "wrap": _wrapped,
}


def pads_of(
    node: Operator, sides: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> list[int]:
    """Padding before each side, then after each.

    Args:
        node: with `pads` or `auto_pad`.
        sides: of the image.
        kernel, stride, dilation: of the window, per side.
    """
    kind, dims = node.attributes.get("auto_pad", "NOTSET"), len(kernel)
    if kind not in ("SAME_UPPER", "SAME_LOWER"):
        given = node.attributes.get("pads") if kind == "NOTSET" else None
        return [int(pad) for pad in given] if given else [0] * (2 * dims)
    before, after = [], []
    for side, window, step, gap in zip(sides, kernel, stride, dilation, strict=True):
        total = max(0, (-(-side // step) - 1) * step + (window - 1) * gap + 1 - side)
        small = total // 2
        before.append(small if kind == "SAME_UPPER" else total - small)
        after.append(total - before[-1])
    return [*before, *after]


def split_pads(build: Builder, given: Value, pads: Sequence[int], value: float) -> tuple[Value, list[int]]:
    """What a layer pads by itself; padding that differs from side to side is put around its input."""
    dims = len(pads) // 2
    before, after = [*pads[:dims]], [*pads[dims:]]
    if before == after and min(before) >= 0:
        return given, before
    return padded(build, given, before, after, value), [0] * dims


def padded(build: Builder, given: Value, before: Sequence[int], after: Sequence[int], value: float) -> Value:
    """An image with a border of one value."""
    flat = [pad for pair in zip(reversed(before), reversed(after), strict=True) for pad in pair]
    return build.call(F.pad, given, flat, "constant", value)  # type: ignore[no-any-return]
