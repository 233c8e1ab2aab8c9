"""What operations do to channel labels: one rule for each kind of operation of torch's ATen set.

A rule gets the tracer and a call, unites and freezes labels, and says what each tensor of the result carries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from netslim.dependency.channel_sets import Carried, condense
from netslim.dependency.meta_ops import tensors_in
from netslim.dependency.rules.elementwise import elementwise
from netslim.dependency.rules.fallback import unknown
from netslim.dependency.rules.layers import LAYERS
from netslim.dependency.trace import Call, Results, Weight

if TYPE_CHECKING:
    from netslim.dependency.tracer import Tracer

Rule = Callable[["Tracer", Call], Results]

UNPREDICTABLE = {"_local_scalar_dense", "equal", "is_nonzero", "masked_select", "nonzero", "unique_dim", "_unique2"}
SAME = {"alias", "clone", "contiguous", "detach", "lift_fresh", "_to_copy", "to"}
_TURNED = {"t", "transpose", "permute", "numpy_T"}
_MOVED = {
    *("view", "reshape", "expand", "unsqueeze", "squeeze", "repeat", "flip", "roll", "stack"),
    *("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "movedim", "swapaxes", "broadcast_to"),
}
_INDEXED = {"select", "unbind", "index_select", "unfold", "index", "narrow_copy"}
_POINTWISE = {"_prelu_kernel", "prelu", "native_dropout", "copy", "hardswish", "hardsigmoid", "mish"}
_POOLED = (
    "avg_pool",
    "max_pool",
    "adaptive_",
    "_adaptive_",
    "upsample_",
    "_upsample_",
    "reflection_pad",
    "replication_pad",
)
_REDUCED = {
    *("mean", "sum", "amax", "amin", "max", "min", "var", "std", "var_mean", "std_mean", "norm", "linalg_vector_norm"),
    *("prod", "any", "all", "argmax", "argmin"),
}
_LIKE = {"empty_like", "zeros_like", "ones_like", "full_like", "rand_like", "randn_like", "bernoulli"}
_NEW = {"new_empty", "new_zeros", "new_ones", "new_full", "new_empty_strided"}


def rule_of(call: Call) -> Rule:
    """The rule for an operation."""
    if call.name in _RULES:
        moves = _RULES[call.name] is _moved and call.func._schema.is_mutable  # its argument has the new shape already
        return unknown if moves else _RULES[call.name]
    if call.name.startswith(_POOLED):
        return _pooled
    if torch.Tag.pointwise in call.func.tags:
        return elementwise
    return unknown


def _same(tracer: Tracer, call: Call) -> Results:
    return [tracer.state(call.args[0])]


def _turned(tracer: Tracer, call: Call) -> Results:
    """Transposition: weights of layers stay recognisable."""
    weight = tracer.state(call.args[0])
    if not isinstance(weight, Weight):
        return _moved(tracer, call)
    numbered = torch.empty(tuple(range(1, len(weight.dims) + 1)), device="meta")  # each size says which dimension it is
    turned = call.func(numbered, *call.args[1:], **call.kwargs)
    return [Weight(weight.name, tuple(weight.dims[size - 1] for size in turned.shape))]


def _moved(tracer: Tracer, call: Call) -> Results:
    """Data movement: labels move as the values do."""
    source = call.args[0]
    carried = tracer.carried(source)
    if carried is None:
        return [None for _ in call.out] if isinstance(source, Tensor) else _joined(tracer, call)
    codes = carried.spread(source.shape)
    if call.name == "view":
        moved = codes.reshape(call.out[0].shape)
    else:
        moved = call.func(codes, *call.args[1:], **call.kwargs)
    return [condense(codes, tracer.labels) for codes in tensors_in(moved)]


def _joined(tracer: Tracer, call: Call) -> Results:
    """cat and stack; what has no labels among them takes frozen ones."""
    pieces = []
    for piece in call.args[0]:
        carried = tracer.carried(piece)
        if carried is None:
            label = tracer.labels.fresh(1, f"is joined to channels at {call.where}")
            carried = Carried(None, label, torch.tensor([False]))
        pieces.append((carried, piece))
    dim = call.given["dim"]
    if call.name == "cat":
        dim %= call.out[0].dim()
        pieces = [(carried, piece) for carried, piece in pieces if piece.dim() == call.out[0].dim()]
        aligned = [carried.along(dim, piece.shape[dim]) for carried, piece in pieces]
        found = [carried for carried in aligned if carried is not None]
        if len(found) == len(pieces):
            labels, silent = (torch.cat([getattr(own, part) for own in found]) for part in ("labels", "silent"))
            return [Carried(dim, labels, silent)]
    codes = call.func([carried.spread(piece.shape) for carried, piece in pieces], dim)
    return [condense(codes, tracer.labels)]


def _split(tracer: Tracer, call: Call) -> Results:
    """Pieces of one size are of one size afterwards too: their channels go together."""
    pieces = _moved(tracer, call)
    source = tracer.carried(call.args[0])
    dim = call.given["dim"] % call.args[0].dim()
    if source is not None and source.axis == dim and len({piece.shape for piece in call.out}) == 1:
        _tie(tracer, source.labels, call.out[0].shape[dim])
    return pieces


def _sliced(tracer: Tracer, call: Call) -> Results:
    """A part of the channels that is one of several equal parts is treated as a piece of a split."""
    source, tensor = tracer.carried(call.args[0]), call.args[0]
    dim = call.given["dim"] % tensor.dim()
    size = call.out[0].shape[dim]
    if source is not None and source.axis == dim and 0 < size < tensor.shape[dim]:
        if call.given["step"] != 1:
            return unknown(tracer, call, f"is picked by its number at {call.where}")
        if tensor.shape[dim] % size == 0 and (call.given["start"] or 0) % size == 0:
            _tie(tracer, source.labels, size)
    return _moved(tracer, call)


def _tie(tracer: Tracer, labels: Tensor, size: int) -> None:
    rows = labels.view(-1, size)
    tracer.labels.unite(rows, rows[:1])


def _indexed(tracer: Tracer, call: Call) -> Results:
    """Picking by number: fine in space, not among channels."""
    carried = tracer.carried(call.args[0])
    if carried is None:
        return unknown(tracer, call)
    if call.name == "index":
        dims = [dim for dim, index in enumerate(call.args[1]) if index is not None]
        hollow = any(isinstance(index, Tensor) and index.device.type == "meta" for index in call.args[1])
        if hollow:
            return unknown(tracer, call)
    else:
        dims = [call.given.get("dim", call.given.get("dimension", 0)) % call.args[0].dim()]
    if carried.axis in dims:
        return unknown(tracer, call, f"is picked by its number at {call.where}")
    if any(tracer.state(tensor) is not None for tensor in tensors_in(call.args[1:])):
        return unknown(tracer, call)
    return _moved(tracer, call)


def _padded(tracer: Tracer, call: Call) -> Results:
    """Constants around: beside channels they are channels that stay."""
    carried, pad = tracer.carried(call.args[0]), call.given["pad"]
    if carried is None:
        return unknown(tracer, call)
    silent = carried.silent & (call.given["value"] == 0)
    if carried.axis is None:
        return [Carried(None, carried.labels, silent)]
    place = 2 * (call.args[0].dim() - 1 - carried.axis)
    before, after = (*pad[place : place + 2], 0, 0)[:2]
    if min(before, after) < 0:
        return unknown(tracer, call, f"is cut off at {call.where}")
    reason = f"is constant: padding at {call.where}"
    labels = [tracer.labels.fresh(before, reason), carried.labels, tracer.labels.fresh(after, reason)]
    zero = torch.tensor(call.given["value"] == 0)
    return [Carried(carried.axis, torch.cat(labels), torch.cat([zero.expand(before), silent, zero.expand(after)]))]


def _pooled(tracer: Tracer, call: Call) -> Results:
    """Pooling, resizing and padding with pixels, all within a channel."""
    carried = tracer.carried(call.args[0])
    spatial = next((number for number in (1, 2, 3) if f"{number}d" in call.name), 2)
    if carried is None or (carried.axis is not None and carried.axis >= call.args[0].dim() - spatial):
        return unknown(tracer, call)
    return [carried for _ in call.out]


def _reduced(tracer: Tracer, call: Call) -> Results:
    """Means, sums, extremes: within a channel they keep it, over channels they freeze them."""
    tensor, carried = call.args[0], tracer.carried(call.args[0])
    if carried is None or len(tensors_in((call.args, call.kwargs))) > 1:
        return elementwise(tracer, call) if carried is None or call.name in ("max", "min") else unknown(tracer, call)
    dims = call.given.get("dim")
    dims = list(range(tensor.dim())) if dims is None or dims == [] else [dims] if isinstance(dims, int) else dims
    gone = {dim % max(tensor.dim(), 1) for dim in dims}
    if carried.axis in gone:
        return unknown(tracer, call, f"is mixed with other channels by {call}")
    axis = carried.axis
    if axis is not None and not call.given.get("keepdim", False):
        axis -= sum(dim < axis for dim in gone)
    return [Carried(axis, carried.labels, carried.silent) for _ in call.out]


def _softmax(tracer: Tracer, call: Call) -> Results:
    carried = tracer.carried(call.args[0])
    if carried is None or carried.axis == call.given["dim"] % call.args[0].dim():
        return unknown(tracer, call, f"is mixed with other channels by {call}")
    return [Carried(carried.axis, carried.labels, torch.zeros_like(carried.silent))]


def _layer_norm(tracer: Tracer, call: Call) -> Results:
    carried = tracer.carried(call.args[0])
    first = call.args[0].dim() - len(call.given["normalized_shape"])
    if carried is None or carried.axis is None or carried.axis >= first:
        return unknown(tracer, call, f"is mixed with other channels by {call}")
    return [Carried(carried.axis, carried.labels, torch.zeros_like(carried.silent)), None, None]


def _group_norm(tracer: Tracer, call: Call) -> Results:
    return unknown(tracer, call, f"is mixed with other channels by {call}")


def _like(tracer: Tracer, call: Call) -> Results:
    """New tensors in the shape of another have channels where it has them."""
    carried = tracer.carried(call.args[0])
    if carried is None:
        return [None]
    zero = torch.full_like(carried.silent, call.name == "zeros_like")
    return [Carried(carried.axis, carried.labels, zero)]


def _new(_: Tracer, call: Call) -> Results:
    """New tensors of a size of their own are constants."""
    return [None for _ in call.out]


_RULES: dict[str, Rule] = {
    **dict.fromkeys(SAME, _same),
    **dict.fromkeys(_TURNED, _turned),
    **dict.fromkeys(_MOVED, _moved),
    **dict.fromkeys(_INDEXED, _indexed),
    **dict.fromkeys(_POINTWISE, elementwise),
    **dict.fromkeys(_REDUCED, _reduced),
    **dict.fromkeys(_LIKE, _like),
    **dict.fromkeys(_NEW, _new),
    **dict.fromkeys(("split", "split_with_sizes", "chunk"), _split),
    **dict.fromkeys(("_softmax", "_log_softmax", "softmax", "log_softmax"), _softmax),
    "cat": _joined,
    "stack": _joined,
    "slice": _sliced,
    "constant_pad_nd": _padded,
    "native_layer_norm": _layer_norm,
    "native_group_norm": _group_norm,
    **LAYERS,
}
