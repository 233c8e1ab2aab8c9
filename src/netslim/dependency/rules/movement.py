"""What data movement does to channels: labels move as the values do."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from netslim.dependency.channel_sets import TensorChannels, condense
from netslim.dependency.channel_state import ChannelState, Rule
from netslim.dependency.even_constants import ZEROS
from netslim.dependency.meta_ops import PACKING, tensors_in
from netslim.dependency.rules.fallback import unknown
from netslim.dependency.rules.picking import picked
from netslim.dependency.trace import Call, Results

SAME = {"alias", "clone", "contiguous", "detach", "lift_fresh", "_to_copy", "to"}
_MOVED = {
    *("view", "reshape", "expand", "unsqueeze", "squeeze", "repeat", "flip", "roll"),
    *("t", "transpose", "permute", "numpy_T"),
    *("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "movedim", "swapaxes", "broadcast_to", "rot90"),
}
_INDEXED = {"select", "unbind", "index_select", "unfold", "index", "narrow_copy"}
_LIKE = {"empty_like", "zeros_like", "ones_like", "full_like", "rand_like", "randn_like", "bernoulli"}
EMPTY = {"empty", "new_empty", "empty_strided", "new_empty_strided"}


def is_room(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether a new tensor is made to be written to; a single number is not."""
    if func.overloadpacket.__name__ not in (*ZEROS, *EMPTY):
        return False
    size = next((arg for arg in args if isinstance(arg, list | tuple)), ())
    return math.prod(size) != 1


def same(state: ChannelState, call: Call) -> Results:
    """Copies and aliases carry what they are of."""
    if call.name == "detach":
        state.renamed(call.args[0], call.out[0])
    return [state.state(call.args[0])]


def moved(state: ChannelState, call: Call) -> Results:
    """Data movement: labels move as the values do."""
    source = call.args[0]
    if call.func._schema.is_mutable:  # its argument has the new shape already
        return unknown(state, call)
    carried = state.channels(source)
    if carried is None:
        if call.name in ("repeat", "expand") and (source.dim() < call.out[0].dim() or source.shape[0] == 1):
            state.note_repeated(call.out[0])
        return [None for _ in call.out] if isinstance(source, Tensor) else joined(state, call)
    if carried.uniform and all(out.numel() for out in call.out):  # wherever they go, all elements stay alike
        return [TensorChannels(None, state.sets.roots(carried.labels), carried.silent) for _ in call.out]
    codes = carried.spread(_one_at_least(source))
    if call.name == "view":
        moved = codes.reshape(_one_at_least(call.out[0]))
    else:
        moved = call.func(codes, *call.args[1:], **call.kwargs)
    return [condense(codes, state.sets) for codes in tensors_in(moved)]


def strided(state: ChannelState, call: Call) -> Results:
    """A view by the places of memory, as spectra take windows: of a tensor whose elements are all alike."""
    carried = state.channels(call.args[0])
    return moved(state, call) if carried is None or carried.uniform else unknown(state, call)


def _one_at_least(tensor: Tensor) -> list[int]:
    """The shape that it would have with one row if it has none, as what is found in an image."""
    return [max(size, 1) for size in tensor.shape]


def joined(state: ChannelState, call: Call) -> Results:
    """cat and stack; what has no labels among them takes frozen ones, or, as the first state of a recurrent layer that
    is zero all over, free ones.
    """
    pieces: list[tuple[TensorChannels, Tensor]] = []
    for piece in call.args[0]:
        carried = state.channels(piece)
        if carried is None and call.name == "cat" and _is_nothing(state, piece):
            dim = call.given["dim"] % piece.dim()
            labels = state.nothing(sum(before.shape[dim] for _, before in pieces), piece.shape[dim])
            state.trace.zeros.append(labels)
            carried = TensorChannels(dim, labels, torch.ones(len(labels), dtype=torch.bool))
        elif carried is None:
            label = state.sets.fresh(1, f"is joined to channels at {call.where}")
            carried = TensorChannels(None, label, torch.tensor([False]))
        pieces.append((carried, piece))
    dim = call.given["dim"]
    if call.name == "cat":
        dim %= call.out[0].dim()
        pieces = [(carried, piece) for carried, piece in pieces if piece.dim() == call.out[0].dim()]
        aligned = [carried.along(dim, piece.shape[dim]) for carried, piece in pieces]
        found = [carried for carried in aligned if carried is not None]
        if len(found) == len(pieces):
            labels, silent = (torch.cat([getattr(own, part) for own in found]) for part in ("labels", "silent"))
            return [TensorChannels(dim, labels, silent)]
    codes = call.func([carried.spread(piece.shape) for carried, piece in pieces], dim)
    return [condense(codes, state.sets)]


def _is_nothing(state: ChannelState, tensor: Tensor) -> bool:
    """Whether it is a constant that is zero all over."""
    if state.state(tensor) is not None or tensor.numel() == 0:
        return False
    return tensor in state.zeros if tensor.is_meta else not tensor.any()


def split(state: ChannelState, call: Call) -> Results:
    """Pieces of one size are of one size afterwards too: their channels go together."""
    pieces = moved(state, call)
    source = state.channels(call.args[0])
    dim = call.given["dim"] % call.args[0].dim()
    if source is not None and source.axis == dim and len({piece.shape for piece in call.out}) == 1:
        _tie(state, source.labels, call.out[0].shape[dim])
    return pieces


def sliced(state: ChannelState, call: Call) -> Results:
    """A part of the channels that is one of several equal parts is treated as a piece of a split.

    So is one in every so many of them.
    """
    source, tensor = state.channels(call.args[0]), call.args[0]
    dim = call.given["dim"] % tensor.dim()
    size = call.out[0].shape[dim]
    if source is not None and source.axis == dim and 0 < size < tensor.shape[dim]:
        step = call.given["step"]
        if step * size != tensor.shape[dim] and step != 1:
            return unknown(state, call, f"is picked by its number at {call.where}")
        if step != 1:
            tie_rows(state, source.labels, step)
        elif tensor.shape[dim] % size == 0 and (call.given["start"] or 0) % size == 0:
            _tie(state, source.labels, size)
    return moved(state, call)


def tie_rows(state: ChannelState, labels: Tensor, size: int) -> None:
    """Channels side by side, so many of them, go together."""
    rows = labels.view(-1, size)
    state.sets.unite(rows, rows[:, :1])


def _tie(state: ChannelState, labels: Tensor, size: int) -> None:
    rows = labels.view(-1, size)
    state.sets.choose(rows, rows[:1])


def indexed(state: ChannelState, call: Call) -> Results:
    """Picking by number: fine in space, not among channels."""
    carried = state.channels(call.args[0])
    if carried is None:
        return unknown(state, call)
    if call.name == "index" and any(isinstance(index, Tensor) and index.is_meta for index in call.args[1]):
        return picked(state, call)
    if call.name == "index":
        dims = [dim for dim, index in enumerate(call.args[1]) if index is not None]
    else:
        dims = [call.given.get("dim", call.given.get("dimension", 0)) % call.args[0].dim()]
    if carried.axis in dims:
        return unknown(state, call, f"is picked by its number at {call.where}")
    if call.name == "index_select":
        return [carried]
    if any(state.state(tensor) is not None for tensor in tensors_in(call.args[1:])):
        return unknown(state, call)
    return moved(state, call)


def repacked(state: ChannelState, call: Call) -> Results:
    """Sequences of a batch put one after the other without their ends, (moments, channels), or back."""
    before, after = (2, 1) if call.name == "_pack_padded_sequence" else (1, 2)
    carried = state.channels(call.args[0])
    if carried is None or carried.axis not in (None, before):
        return unknown(state, call)
    silent = carried.silent & (call.given.get("padding_value", 0) == 0)
    return [TensorChannels(None if carried.axis is None else after, carried.labels, silent), None]


def padded(state: ChannelState, call: Call) -> Results:
    """Constants around: beside channels they are channels that stay."""
    carried, pad = state.channels(call.args[0]), call.given["pad"]
    if carried is None:
        return unknown(state, call)
    silent = carried.silent & (call.given["value"] == 0)
    if carried.axis is None:
        return [TensorChannels(None, carried.labels, silent)]
    place = 2 * (call.args[0].dim() - 1 - carried.axis)
    before, after = (*pad[place : place + 2], 0, 0)[:2]
    if min(before, after) < 0:
        return unknown(state, call, f"is cut off at {call.where}")
    reason = f"is constant: padding at {call.where}"
    labels = [state.sets.fresh(before, reason), carried.labels, state.sets.fresh(after, reason)]
    zero = torch.tensor(call.given["value"] == 0)
    return [
        TensorChannels(carried.axis, torch.cat(labels), torch.cat([zero.expand(before), silent, zero.expand(after)]))
    ]


def like(state: ChannelState, call: Call) -> Results:
    """New tensors in the shape of another have channels where it has them; what is drawn in training alone has none."""
    if state.training and call.name in ("rand_like", "randn_like"):
        state.note_drawn((), call.out, draws=True)
        return [None]
    if state.training and call.name in ("ones_like", "full_like", "empty_like"):
        state.even.note(call.func, call.name, call.args, call.kwargs, call.out[0])
        if call.name == "empty_like":
            state.note_new(call.out[0], zero=False)
        return [None]
    carried = state.channels(call.args[0])
    if carried is None:
        return [None]
    zero = torch.full_like(carried.silent, call.name == "zeros_like")
    if call.name in ("empty_like", "zeros_like"):
        state.note_new(call.out[0], zero=False)
    if call.name == "zeros_like":
        state.note_new(call.out[0], zero=True)
    return [TensorChannels(carried.axis, carried.labels, zero)]


def windows(state: ChannelState, call: Call) -> Results:
    """Neighbourhoods as rows (im2col): each channel becomes as many as the kernel has places."""
    carried, kernel = state.channels_along(call.args[0], 1), math.prod(call.given["kernel_size"])
    if carried is None:
        return unknown(state, call)
    return [TensorChannels(1, *(part.repeat_interleave(kernel) for part in (carried.labels, carried.silent)))]


def unwindowed(state: ChannelState, call: Call) -> Results:
    """The inverse (col2im): the rows of one channel go together."""
    carried, kernel = state.channels_along(call.args[0], 1), math.prod(call.given["kernel_size"])
    if carried is None:
        return unknown(state, call)
    rows = carried.labels.view(-1, kernel)
    state.sets.unite(rows, rows[:, :1])
    return [TensorChannels(1, rows[:, 0], carried.silent.view(-1, kernel).all(1))]


def gathered(state: ChannelState, call: Call) -> Results:
    """Picking places within each channel; the indices have the same channels, or are the same for all."""
    carried, index = state.channels(call.args[0]), call.given["index"]
    dim = call.given["dim"] % call.args[0].dim()
    if carried is None or carried.axis is None or carried.axis == dim:
        return unknown(state, call, f"is picked by its number at {call.where}")
    own, width = state.channels(index), index.shape[carried.axis]
    if width != len(carried.labels):
        return unknown(state, call, f"is picked by its number at {call.where}")
    if width > 1 and index.stride(carried.axis) == 0:  # the same places for all channels
        if own is not None:
            state.sets.freeze(own.labels, f"says where {call} picks")
        return [carried]
    along = None if own is None else own.along(carried.axis, width)
    if along is None:
        return unknown(state, call, f"meets a tensor that is no parameter in {call}" if own is None else None)
    state.sets.unite(carried.labels, along.labels)
    return [carried]


MOVEMENT: dict[str, Rule] = {
    **dict.fromkeys(SAME, same),
    **dict.fromkeys(_MOVED, moved),
    **dict.fromkeys(_INDEXED, indexed),
    **dict.fromkeys(_LIKE, like),
    **dict.fromkeys(("split", "split_with_sizes", "chunk"), split),
    **dict.fromkeys(("cat", "stack"), joined),
    "as_strided": strided,
    "gather": gathered,
    "im2col": windows,
    "col2im": unwindowed,
    "slice": sliced,
    **dict.fromkeys(PACKING, repacked),
    "constant_pad_nd": padded,
}
