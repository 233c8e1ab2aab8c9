"""Sequences of tensors, as exporters write Python's lists: made, taken from and joined."""

from __future__ import annotations

import torch

from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.operators import Operator, operator
from netslim.models.onnx_import.values import Constant, Sequence, Value


def _sequence(node: Operator) -> Sequence:
    found = node.value()
    if not isinstance(found, Sequence):
        raise node.refusal("takes no sequence")
    return found


def _place(node: Operator, at: int, usual: int) -> int:
    place = node.constant(at)
    return usual if place is None else int(place)


@operator("SequenceConstruct", "SequenceEmpty")
def construct(build: Builder, node: Operator) -> Sequence:
    """Tensors in order."""
    return Sequence(tuple(build.tensor(node.value(place)) for place in range(len(node.inputs))))


@operator("SequenceInsert")
def insert(build: Builder, node: Operator) -> Sequence:
    """One more, at a place or at the end."""
    items = [*_sequence(node).items]
    place = _place(node, 2, len(items))
    items.insert(place if place >= 0 else place + len(items), build.tensor(node.value(1)))
    return Sequence(tuple(items))


@operator("SequenceAt")
def at(build: Builder, node: Operator) -> Value:  # noqa: ARG001
    """The one at a place."""
    return _sequence(node).items[_place(node, 1, 0)]


@operator("SequenceLength")
def length(build: Builder, node: Operator) -> Value:  # noqa: ARG001
    """How many there are."""
    return Constant(torch.tensor(len(_sequence(node).items)))


@operator("ConcatFromSequence")
def joined(build: Builder, node: Operator) -> Value:
    """All of them along an axis, or along a new one."""
    function = torch.stack if node.attributes.get("new_axis", 0) else torch.cat
    return build.call(function, [*_sequence(node).items], int(node.attributes["axis"]))  # type: ignore[no-any-return]


@operator("SplitToSequence")
def split(build: Builder, node: Operator) -> Sequence:
    """Parts along an axis, at the example's sizes: by number, so that no channels are cut that they are counted by."""
    given, sizes = build.tensor(node.value()), node.constant(1)
    axis = int(node.attributes.get("axis", 0))
    side = build.like(given).shape[axis]
    each = 1 if sizes is None else int(sizes) if sizes.dim() == 0 else 0
    widths = sizes.tolist() if sizes is not None and not each else [each] * (side // each)
    widths += [side % each] if each and side % each else []
    items, start = [], 0
    for width in widths:
        places = Constant(torch.arange(start, start + width))
        items.append(build.call(torch.index_select, given, axis, places))
        start += width
    if sizes is None and not node.attributes.get("keepdims", 1):
        items = [build.call(torch.squeeze, item, axis) for item in items]
    return Sequence(tuple(items))
