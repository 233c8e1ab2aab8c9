"""What is written into a new tensor, or a part of it: it has the channels of what was written."""

from __future__ import annotations

import torch
from torch import Tensor

from netslim.dependency.channel_sets import TensorChannels, everywhere
from netslim.dependency.channel_state import ChannelState
from netslim.dependency.rules.fallback import unknown
from netslim.dependency.rules.movement import tie_rows
from netslim.dependency.trace import Call, Results


def written(state: ChannelState, call: Call) -> Results | None:
    """Values written into a part of a new tensor: it has their channels there from then on.

    Parts beside each other are a concatenation, several of the same channels tie them. None where it is not known which
    channels of the whole are written.
    """
    target, source = call.args[:2]
    whole, carried = _whole(target), state.channels(source)
    place = None if carried is None else _place(whole, target, source, carried)
    if carried is None or place is None:
        return None
    axis, here = place
    width = whole.shape[axis]
    known = state.known(whole)
    if isinstance(known, TensorChannels):
        own = known.along(axis, width)
        if own is None:
            return None
        state.sets.unite(own.labels[here], carried.labels)
        labels: Tensor | None = own.labels
    else:
        labels = state.fill(whole, axis, here, carried.labels)
    if labels is not None and here.step > 1:
        tie_rows(state, labels, here.step)
    silent = torch.ones(width, dtype=torch.bool)
    silent[here] = carried.silent
    silent = _written_silence(state, whole, target, silent)
    if labels is not None:
        state.set(whole, TensorChannels(axis, labels, silent))
    return [TensorChannels(carried.axis + target.dim() - source.dim(), carried.labels, carried.silent)]


def _place(whole: Tensor, target: Tensor, source: Tensor, carried: TensorChannels) -> tuple[int, slice] | None:
    """Along which dimension of the whole the channels are, and their numbers; None if that can't be told."""
    axis = -1 if carried.axis is None else carried.axis + target.dim() - source.dim()
    if axis < 0 or target.shape[axis] != len(carried.labels):
        return None
    if target.dim() == whole.dim() and target.shape[axis] == whole.shape[axis]:
        return axis, slice(0, whole.shape[axis], 1)
    sides, own = enumerate(zip(whole.shape, whole.stride(), strict=True)), target.stride(axis)
    found = [dim for dim, (size, stride) in sides if stride <= own < stride * size]
    if len(found) != 1 or target.shape[axis] == 1 or not whole.is_contiguous():
        return None
    width, stride = whole.shape[found[0]], whole.stride(found[0])
    first, step, count = int(target.storage_offset()) // stride % width, own // stride, len(carried.labels)
    if own % stride or (step > 1 and step * count != width):
        return None
    return found[0], slice(first, first + step * (count - 1) + 1, step)


def written_over(state: ChannelState, call: Call) -> Results:
    """Values written into a constant, or a part of one: nothing of it can go, and it is a constant no more."""
    reason = f"is written into another tensor at {call.where}"
    state.set(_whole(call.args[0]), state.frozen(reason))
    return unknown(state, call, reason)


def is_new(state: ChannelState, target: Tensor) -> bool:
    """Whether a tensor, or what it is a view of, was made to be written to."""
    return _whole(target) in state.unwritten


def is_blank(state: ChannelState, target: Tensor) -> bool:
    """Whether nothing but zeros was in a new tensor, or nothing at all, however large it is."""
    return is_new(state, target) or _whole(target) in state.zeros


def _whole(target: Tensor) -> Tensor:
    return target if target._base is None else target._base


def _written_silence(state: ChannelState, whole: Tensor, part: Tensor, silent: Tensor) -> Tensor:
    """Where a new tensor is silent with this part: everywhere in its parts, once nothing is left but zeros."""
    if id(whole) not in state.written:
        state.written[id(whole)] = (torch.zeros(whole.numel(), dtype=torch.bool), torch.ones_like(silent))
    mask, before = state.written[id(whole)]
    mask.as_strided(part.shape, part.stride(), part.storage_offset()).fill_(True)
    state.written[id(whole)] = (mask, before & silent)
    return before & silent & (everywhere(mask) or whole in state.zeros)
