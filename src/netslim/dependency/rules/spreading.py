"""What writing at places, and transforms along dimensions, do to channels: beside them they do no harm."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from netslim.dependency.channel_sets import TensorChannels, anywhere
from netslim.dependency.channel_state import ChannelState, Rule
from netslim.dependency.rules.fallback import unknown
from netslim.dependency.rules.picking import is_zero
from netslim.dependency.rules.writing import written_over
from netslim.dependency.trace import Call, Results, Weight

_SPREAD = {"scatter", "scatter_add", "scatter_reduce", "index_add", "index_copy", "index_reduce"}
_FOURIER = {"_fft_r2c", "_fft_c2c", "_fft_c2r"}


def spread(state: ChannelState, call: Call) -> Results:
    """Values written or added at places along a dimension that is not the channels': both have the same channels."""
    target, index = call.args[0], call.given["index"]
    source: Any = call.given.get("src", call.given.get("source"))  # or a number
    carried = state.channels(source) if isinstance(source, Tensor) else None
    known = state.channels(target)
    blank = known is None and target in state.zeros
    dim = call.given["dim"] % max(target.dim(), 1)
    part = call.func._schema.is_mutable and target._base is not None
    if carried is None or carried.axis in (None, dim) or part or not (known or blank):
        return unknown(state, call)
    axis, size = carried.axis, source.shape[carried.axis]
    if target.shape[axis] != size or not _same_for_all(state, index, axis):
        return unknown(state, call, f"is written to by its number at {call.where}")
    if known is None:
        return [carried]
    own = known.along(axis, size)
    if own is None:
        return unknown(state, call)
    state.sets.unite(own.labels, carried.labels)
    return [TensorChannels(axis, carried.labels, carried.silent & own.silent)]


def _same_for_all(state: ChannelState, index: Tensor, axis: int) -> bool:
    """Whether the places are the same for all channels; if channels say where, they stay."""
    places = state.channels(index)
    if index.dim() > 1 and index.stride(axis) != 0 and index.shape[axis] > 1:
        return False
    if places is not None:
        state.sets.freeze(places.labels, "says where others are written to")
    return True


def filled(state: ChannelState, call: Call) -> Results:
    """One number written to a tensor, or a part of it: a zero keeps what was zero so."""
    carried, value = state.channels(call.args[0]), call.given.get("value", 0)
    if carried is None:
        return written_over(state, call)
    if isinstance(value, Tensor) and state.state(value) is not None:
        return unknown(state, call)
    if not is_zero(state, value) and anywhere(carried.silent):
        state.sets.freeze(carried.labels, f"is changed in place by {call}")
    return [carried]


def transformed(state: ChannelState, call: Call) -> Results:
    """Fourier transforms: along other dimensions zeros stay zeros."""
    carried = state.channels(call.args[0])
    dims = {dim % call.args[0].dim() for dim in call.given["dim"]}
    if carried is None or carried.axis in dims:
        return unknown(state, call, f"is mixed with other channels by {call}")
    return [carried]


def of_pairs(state: ChannelState, call: Call) -> Results:
    """Complex numbers as pairs along a last dimension, or back."""
    carried, pairs = state.state(call.args[0]), call.name == "view_as_complex"
    if isinstance(carried, Weight):
        after = {"view_as_complex": carried.dims[:-1], "view_as_real": (*carried.dims, None)}
        return [Weight(carried.name, after.get(call.name, carried.dims))]
    if carried is None or (pairs and carried.axis == call.args[0].dim() - 1):
        return unknown(state, call)
    return [carried]


SPREADING: dict[str, Rule] = {
    **dict.fromkeys(_SPREAD, spread),
    **dict.fromkeys(("fill", "zero"), filled),
    **dict.fromkeys(_FOURIER, transformed),
    **dict.fromkeys(("view_as_complex", "view_as_real", "_conj", "resolve_conj"), of_pairs),
}
