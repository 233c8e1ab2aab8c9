"""What elementwise operations do to channel labels: channels that meet go together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from netslim.dependency.channel_sets import TensorChannels, anywhere, everywhere
from netslim.dependency.channel_state import ChannelState
from netslim.dependency.rules.fallback import unknown
from netslim.dependency.rules.weights import combined
from netslim.dependency.rules.writing import is_new, written, written_over
from netslim.dependency.rules.zero_propagation import silence
from netslim.dependency.trace import Call, Results, Weight


def elementwise(state: ChannelState, call: Call) -> Results:
    """Unites the labels of all operands, with broadcasting."""
    target = call.args[0] if call.func._schema.is_mutable and isinstance(call.args[0], Tensor) else None
    done = combined(state, call) if target is None else _into(state, call, target) or combined(state, call)
    if done is not None:
        return done
    tensors = call.tensors
    axes = _axes(state, tensors)
    if len(axes) > 1:
        return unknown(state, call, f"meets channels along another dimension in {call}")
    axis = axes.pop() if axes else None
    size = call.out[0].shape[axis] if axis is not None else 1
    if any(_is_foreign(state, tensor, axis) for tensor in tensors):
        return unknown(state, call, f"meets a tensor that is no parameter in {call}")
    met = [_meet(state, call, tensor, axis, size) for tensor in tensors]
    labels = [own for own, _ in met if own is not None]
    if not labels:
        return _computed(state, call, tensors)
    if size == 1:  # of several channels one is left, and meets what acted on all of them
        labels = [own for own in labels if not state.sets.is_final(own)] or labels
    for other in labels[1:]:
        state.sets.unite(labels[0], other)
    silent = silence(call, tensors, [own for _, own in met])
    if target is not None and not state.training and anywhere(met[0][1] & ~silent):
        state.sets.freeze(labels[0], f"is changed in place by {call}")
    place = None if axis is None else axis + call.out[0].dim()
    return [TensorChannels(place, labels[0], silent & (number == 0)) for number in range(len(call.out))]


def _into(state: ChannelState, call: Call, target: Tensor) -> Results | None:
    """What is written into a new tensor or a constant; None where the target carries something already."""
    if call.name == "copy" and (state.state(target) is None or is_new(state, target)):
        done = written(state, call)
        if done is not None:
            return done
    return written_over(state, call) if state.state(target) is None else None


def gated(state: ChannelState, call: Call) -> Results:
    """GLU: the first half times a gate that the second one makes; channel by channel, they go together."""
    carried, tensor = state.channels(call.args[0]), call.args[0]
    if carried is None or carried.axis != call.given["dim"] % tensor.dim():
        return unknown(state, call) if carried is None else [carried]
    halves, silent = carried.labels.view(2, -1), carried.silent.view(2, -1)
    state.sets.unite(halves, halves[:1])
    return [TensorChannels(carried.axis, halves[0], silent[0])]


def _computed(state: ChannelState, call: Call, tensors: Sequence[Tensor]) -> Results:
    """A weight times a number, or itself, is still that weight; otherwise it is computed, and no parameter any more."""
    owns = [state.weight(tensor) for tensor in tensors]
    own = owns[0] if owns and all(each == owns[0] for each in owns) else None
    if own is None or not everywhere(silence(call, tensors, [torch.ones(1, dtype=torch.bool) for _ in tensors])):
        return [None for _ in call.out]
    return [own, *(None for _ in call.out[1:])]


def _axes(state: ChannelState, tensors: Sequence[Tensor]) -> set[int]:
    """The dimensions of the operands' channels, counted from the end; those of single channels count if alone."""
    found: dict[bool, set[int]] = {True: set(), False: set()}
    for tensor in tensors:
        carried = state.channels(tensor)
        if carried is not None and carried.axis is not None:
            found[carried.uniform].add(carried.axis - tensor.dim())
    return found[False] or (found[True] if len(found[True]) == 1 else set())


def _is_foreign(state: ChannelState, tensor: Tensor, axis: int | None) -> bool:
    """Whether a tensor has a number of its own for each channel and could not be cut.

    What is drawn in training is no such, nor what is the same for all: made for as many channels as there are it fits,
    and else is found out.
    """
    if axis is None or tensor.dim() < -axis or tensor.shape[axis] == 1 or state.state(tensor) is not None:
        return False
    return not (state.is_drawn(tensor) or state.even.is_even(tensor, axis))


def _meet(state: ChannelState, call: Call, tensor: Tensor, axis: int | None, size: int) -> tuple[Tensor | None, Tensor]:
    """An operand's labels along the axis, None if it has no part in it, and where it is silent."""
    own, loud = state.state(tensor), torch.zeros(size, dtype=torch.bool)
    spans = axis is not None and tensor.dim() >= -axis and tensor.shape[axis] == size
    if isinstance(own, Weight) and axis is not None and spans:
        state.trace.met.add(own.name)
        return state.produced(own.name, own.dim(axis), size), ~loud & state.can_silence(own.name)
    if isinstance(own, TensorChannels) and own.uniform and axis is not None and spans:
        spans = size == 1 or tensor.stride(axis) != 0  # else one value for all channels
    if isinstance(own, TensorChannels) and (axis is None or spans):
        return own.labels.expand(size), own.silent.expand(size)
    if isinstance(own, TensorChannels):
        state.sets.freeze(own.labels, f"acts on all channels in {call}")
    return None, ~loud if own is None and _is_zero(state, tensor) else loud


def _is_zero(state: ChannelState, tensor: Tensor) -> bool:
    """Whether a constant is known to be zero all over."""
    return tensor in state.zeros if tensor.is_meta else not tensor.any()
