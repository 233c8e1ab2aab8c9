"""What picking, and writing, by numbers that are computed does to channels: beside them it does no harm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from netslim.dependency.channel_sets import TensorChannels
from netslim.dependency.channel_state import ChannelState, Rule
from netslim.dependency.rules.fallback import unknown
from netslim.dependency.trace import Call, Results


def picked(state: ChannelState, call: Call) -> Results:
    """Rows at computed places: all channels of each."""
    carried, indices = state.channels(call.args[0]), call.args[1]
    if carried is None:
        return unknown(state, call)
    if carried.axis is not None and carried.axis < len(indices) and indices[carried.axis] is not None:
        return unknown(state, call, f"is picked by its number at {call.where}")
    _freeze_places(state, call, indices)
    axis = None if carried.axis is None else _places_of(call.args[0], indices)[carried.axis]
    return [TensorChannels(axis, carried.labels, carried.silent)]


def put(state: ChannelState, call: Call) -> Results:
    """Rows written at places: the whole has their channels from then on, as with those that it has already."""
    whole, indices, values = call.args[:3]
    carried, known = state.channels(values), state.known(whole)
    blank = known is None and _is_blank(state, whole)
    if carried is None:
        return _overwritten(state, call, known)
    if carried.axis is None or whole._base is not None or not (blank or isinstance(known, TensorChannels)):
        return unknown(state, call)
    behind = {place - _picked_dims(whole, indices): dim for dim, place in _places_of(whole, indices).items()}
    axis = behind.get(carried.axis - values.dim())  # counted from the end, as values are broadcast
    if axis is None or values.shape[carried.axis] != whole.shape[axis]:
        return unknown(state, call)
    _freeze_places(state, call, indices)
    silent = carried.silent
    if isinstance(known, TensorChannels):
        own = known.along(axis, whole.shape[axis])
        if own is None:
            return unknown(state, call)
        state.sets.unite(own.labels, carried.labels)
        silent = silent & own.silent
    elif whole not in state.zeros:
        silent = torch.zeros_like(silent)
    return [TensorChannels(axis, carried.labels, silent)]


def _overwritten(state: ChannelState, call: Call, known: Any) -> Results:
    """A constant is written to some rows of all channels: only with a zero what was zero stays so."""
    indices = call.args[1]
    if not isinstance(known, TensorChannels) or call.args[2].numel() != 1:
        return unknown(state, call)
    if known.axis is not None and known.axis < len(indices) and indices[known.axis] is not None:
        return unknown(state, call, f"is picked by its number at {call.where}")
    _freeze_places(state, call, indices)
    zero = is_zero(state, call.args[2])
    return [TensorChannels(known.axis, known.labels, known.silent & zero)]


def is_zero(state: ChannelState, number: Any) -> bool:
    """Whether a number, or a tensor of one, is known to be zero."""
    if not isinstance(number, Tensor):
        return bool(number == 0)
    return number in state.zeros or (not number.is_meta and state.state(number) is None and float(number) == 0)


def _is_blank(state: ChannelState, tensor: Tensor) -> bool:
    return tensor in state.unwritten or tensor in state.zeros


def _freeze_places(state: ChannelState, call: Call, indices: Sequence[Tensor | None]) -> None:
    for index in indices:
        if index is not None and (places := state.channels(index)) is not None:
            state.sets.freeze(places.labels, f"says where {call} picks")


def _stand_ins(indices: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Of as many dimensions, each of one place."""
    return [None if index is None else index.new_zeros((1,) * index.dim(), device="meta") for index in indices]


def _picked_dims(tensor: Tensor, indices: Sequence[Tensor | None]) -> int:
    """How many dimensions come out."""
    return int(torch.ops.aten.index.Tensor(torch.empty((1,) * tensor.dim(), device="meta"), _stand_ins(indices)).dim())


def _places_of(tensor: Tensor, indices: Sequence[Tensor | None]) -> dict[int, int]:
    """Where the dimensions that are not picked from are in what comes out."""
    numbered = torch.empty([dim + 2 for dim in range(tensor.dim())], device="meta")  # each size says which it is
    sizes = torch.ops.aten.index.Tensor(numbered, _stand_ins(indices)).shape
    return {size - 2: place for place, size in enumerate(sizes) if size > 1}


PICKING: dict[str, Rule] = {"index_put": put}
