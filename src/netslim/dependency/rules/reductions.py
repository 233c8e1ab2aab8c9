"""What pooling, reductions and normalisation without running statistics do to channels."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import torch

from netslim.dependency.channel_sets import TensorChannels
from netslim.dependency.channel_state import ChannelState, Rule
from netslim.dependency.meta_ops import tensors_in
from netslim.dependency.rules.elementwise import elementwise
from netslim.dependency.rules.fallback import unknown
from netslim.dependency.rules.layers import consume
from netslim.dependency.rules.weights import ENDS
from netslim.dependency.trace import Call, Results, Weight

POOLED = (
    *("avg_pool", "max_pool", "adaptive_", "_adaptive_", "upsample_", "_upsample_"),
    *("reflection_pad", "replication_pad"),
)  # beginnings of names
_ZERO_SAFE = {"sum", "norm", "linalg_vector_norm"}  # over channels: one that is zero does no harm
_SAMPLED = {"grid_sampler_2d", "grid_sampler_3d", "grid_sampler", "roi_align", "roi_pool"}
_REDUCED = {
    *("mean", "sum", "amax", "amin", "max", "min", "var", "std", "var_mean", "std_mean", "norm", "linalg_vector_norm"),
    *("prod", "any", "all", "argmax", "argmin", "logsumexp"),
}
_LINEAR = {"sum", "mean"}  # of a filter's numbers in space they are a smaller filter
_ALONG = {"cumsum", "cumprod", "logcumsumexp", "sort", "topk", "cummax", "cummin", "kthvalue", "mode"}


def pooled(state: ChannelState, call: Call) -> Results:
    """Pooling, resizing and padding with pixels, all within a channel."""
    carried = state.channels(call.args[0])
    spatial = next((number for number in (1, 2, 3) if f"{number}d" in call.name), 2)
    if carried is None or (carried.axis is not None and carried.axis >= call.args[0].dim() - spatial):
        return unknown(state, call)
    return [carried for _ in call.out]


def reduced(state: ChannelState, call: Call) -> Results:
    """Means, sums, extremes: within a channel they keep it, over channels they freeze them.

    So does a sum over channels that no activation has a part in: what a layer has learnt for a channel is not zero
    because the channel is silent.
    """
    tensor, carried = call.args[0], state.channels(call.args[0])
    dims = call.given.get("dim")
    dims = list(range(tensor.dim())) if dims is None or dims == [] else [dims] if isinstance(dims, int) else dims
    gone = {dim % max(tensor.dim(), 1) for dim in dims}
    if isinstance(weight := state.state(tensor), Weight) and len(call.tensors) == 1:
        if call.name in _LINEAR and all(own is None or own >= ENDS for own in (weight.dims[dim] for dim in gone)):
            return [Weight(weight.name, tuple(_left(weight.dims, gone, keep=call.given.get("keepdim", False))))]
        if not state.training:
            state.freeze_weight(weight, gone, tensor.shape, f"is mixed with other channels by {call}")
        if (rows := _of_rows(state, call, weight, gone)) is not None:
            return rows
    if carried is None or len(call.tensors) > 1:
        return elementwise(state, call) if carried is None or call.name in ("max", "min") else unknown(state, call)
    if carried.axis in gone:
        harmless = call.name in _ZERO_SAFE and _order(call) > 0 and not state.is_fixed(tensor)
        if harmless and bool(carried.silent.all()):
            return [state.frozen(f"comes from all channels in {call}") for _ in call.out]
        return unknown(state, call, f"is mixed with other channels by {call}")
    axis = carried.axis
    if axis is not None and not call.given.get("keepdim", False):
        axis -= sum(dim < axis for dim in gone)
    silent = carried.silent & (call.name != "logsumexp")
    return [TensorChannels(axis, carried.labels, silent) for _ in call.out]


def _left(dims: Sequence[int | None], gone: Collection[int], *, keep: bool) -> Iterator[int | None]:
    """The dimensions of a parameter that are left of its kernel's sides, or ones in their places."""
    for dim, own in enumerate(dims):
        if dim not in gone:
            yield own
        elif keep:
            yield None


def _of_rows(state: ChannelState, call: Call, weight: Weight, gone: set[int]) -> Results | None:
    """A number for each row of a weight goes with that row; None if it is not one for each along an end of it."""
    shape = call.args[0].shape
    left = [dim for dim, own in enumerate(weight.dims) if dim not in gone and own is not None and own < ENDS]
    if len(left) != 1 or any(size > 1 for dim, size in enumerate(shape) if dim not in (*gone, *left)):
        return None
    labels = state.along_weight(weight.name, weight.dim(left[0]), shape[left[0]])
    axis = left[0] if call.given.get("keepdim", False) else left[0] - sum(dim < left[0] for dim in gone)
    return [TensorChannels(axis, labels, torch.zeros(len(labels), dtype=torch.bool)) for _ in call.out]


def _order(call: Call) -> float:
    """Of a norm; of a negative one channels that are zero would be all that counts."""
    order = call.given.get("ord", call.given.get("p"))
    return 2.0 if order is None else float(order)


def per_channel(state: ChannelState, call: Call) -> Results:
    """Sampling within each channel of the first argument, at places that the others say."""
    carried = state.channels_along(call.args[0], 1)
    others = [state.state(tensor) for tensor in tensors_in((call.args[1:], call.kwargs))]
    if carried is None or any(isinstance(other, Weight) for other in others):
        return unknown(state, call)
    for other in others:
        if isinstance(other, TensorChannels):
            state.sets.freeze(other.labels, f"says where {call} samples")
    return [carried, *(None for _ in call.out[1:])]


def unpooled(state: ChannelState, call: Call) -> Results:
    """The inverse of pooling: places and values have the same channels."""
    values, places = (state.channels_along(tensor, 1) for tensor in call.args[:2])
    if values is None or places is None:
        return unknown(state, call)
    state.sets.unite(values.labels, places.labels)
    return [values]


def softmax(state: ChannelState, call: Call) -> Results:
    """Over channels it mixes them; elsewhere nothing stays zero."""
    carried = state.channels(call.args[0])
    if carried is None or carried.axis == call.given["dim"] % call.args[0].dim():
        return unknown(state, call, f"is mixed with other channels by {call}")
    return [TensorChannels(carried.axis, carried.labels, torch.zeros_like(carried.silent))]


def along(state: ChannelState, call: Call) -> Results:
    """Sums and orders along a dimension: zeros stay zeros within a channel."""
    carried = state.channels(call.args[0])
    if carried is None or call.given.get("dim") is None or call.args[0].dim() == 0:
        return unknown(state, call)
    if carried.axis == call.given["dim"] % call.args[0].dim():
        return unknown(state, call, f"is mixed with other channels by {call}")
    silent = carried.silent & (call.name != "logcumsumexp")
    places = [TensorChannels(carried.axis, carried.labels, torch.zeros_like(silent)) for _ in call.out[1:]]
    return [TensorChannels(carried.axis, carried.labels, silent), *places]


def products(state: ChannelState, call: Call) -> Results:
    """Matrices of a batch: (n, rows, inner) by (n, inner, columns). Zero channels in the inner dimension do no harm."""
    first, second = (state.channels(tensor) for tensor in call.args[:2])
    if isinstance(weight := state.state(call.args[1]), Weight) and first is not None and first.axis == 2:
        consume(state, call, weight.name, weight.dim(1), first)
        labels = state.produced(weight.name, weight.dim(2), call.out[0].shape[2])
        return [TensorChannels(2, labels, torch.ones(len(labels), dtype=torch.bool))]
    if isinstance(weight := state.state(call.args[0]), Weight) and second is not None and second.axis == 1:
        consume(state, call, weight.name, weight.dim(2), second)
        labels = state.produced(weight.name, weight.dim(1), call.out[0].shape[1])
        return [TensorChannels(1, labels, torch.ones(len(labels), dtype=torch.bool))]
    for own, matrix, axis in ((first, call.args[1], 1), (second, call.args[0], 2)):
        beside = own is not None and (own.axis == axis or (own.axis == 0 and matrix.stride(0) == 0))  # for all alike
        if own is not None and beside and state.acts_beside(matrix, own, call):
            return [own]
    if first is None or second is None:
        return unknown(state, call)
    pair = (first.axis, second.axis)
    if pair == (0, 0):
        state.sets.unite(first.labels, second.labels)
        return [TensorChannels(0, first.labels, first.silent | second.silent)]
    if pair == (2, 1) and bool((first.silent | second.silent).all()):
        state.sets.unite(first.labels, second.labels)
        return [state.frozen(f"comes from all channels in {call}")]
    beside = [(own, other) for own, other, axis in ((first, second, 1), (second, first, 2)) if own.axis == axis]
    if not beside:
        return unknown(state, call)
    own, other = max(beside, key=lambda pair: (state.sets.is_final(pair[1].labels), len(pair[0].labels)))
    state.sets.freeze(other.labels, f"acts on all channels in {call}")
    return [own]


def added_products(state: ChannelState, call: Call) -> Results:
    """Matrices of a batch, and something that is added to what they give."""
    product = torch.empty_like(call.out[0])
    for own in products(state, replace(call, name="bmm", args=call.args[1:], out=[product])):
        state.set(product, own)
    return elementwise(state, replace(call, func=torch.ops.aten.add.Tensor, args=(call.args[0], product), kwargs={}))


def layer_norm(state: ChannelState, call: Call) -> Results:
    """Over channels it mixes them."""
    carried = state.channels(call.args[0])
    first = call.args[0].dim() - len(call.given["normalized_shape"])
    if carried is None or carried.axis is None or carried.axis >= first:
        return unknown(state, call, f"is mixed with other channels by {call}")
    return [TensorChannels(carried.axis, carried.labels, torch.zeros_like(carried.silent)), None, None]


REDUCTIONS: dict[str, Rule] = {
    **dict.fromkeys(_REDUCED, reduced),
    **dict.fromkeys(_SAMPLED, per_channel),
    **dict.fromkeys(("max_unpool2d", "max_unpool3d"), unpooled),
    **dict.fromkeys(("_softmax", "_log_softmax", "softmax", "log_softmax"), softmax),
    **dict.fromkeys(_ALONG, along),
    "bmm": products,
    "baddbmm": added_products,
    "native_layer_norm": layer_norm,
}
