"""What data movement does to weights: turned round, with dimensions of one more or less, or in part they stay known."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from netslim.dependency.channel_sets import TensorChannels, everywhere
from netslim.dependency.channel_state import ChannelState, Rule
from netslim.dependency.rules.fallback import unknown
from netslim.dependency.rules.movement import MOVEMENT, moved, padded
from netslim.dependency.rules.zero_propagation import silence
from netslim.dependency.trace import Call, Place, Results, Weight

ENDS = 2  # dimensions of a weight: what it gives, and what it reads; the others are a kernel's sides
_TURNED = {"t", "transpose", "permute", "numpy_T"}
_PARTED = {"slice", "select", "unbind", "split", "split_with_sizes", "chunk"}
Side = tuple[int, int | None]  # a size, and the dimension of the parameter
Carried = TensorChannels | Weight | None
Ties = Sequence[tuple[int, Place | None]]  # of dimensions of a weight, where the same channels are
_FOLDED = {"view", "reshape", "unsqueeze", "squeeze", "expand"}


def turned(state: ChannelState, call: Call) -> Results:
    """Transposition."""
    weight = state.state(call.args[0])
    if not isinstance(weight, Weight):
        return moved(state, call)
    numbered = torch.empty(tuple(range(1, len(weight.dims) + 1)), device="meta")  # each size says which dimension it is
    turned = call.func(numbered, *call.args[1:], **call.kwargs)
    return [Weight(weight.name, tuple(weight.dims[size - 1] for size in turned.shape))]


def folded(state: ChannelState, call: Call) -> Results:
    """Another shape of the same numbers, as `weight[:, :, None, None]`, or one that repeats them for every image."""
    weight = state.state(call.args[0])
    if not isinstance(weight, Weight):
        return moved(state, call)
    before, after = [*zip(call.args[0].shape, weight.dims, strict=True)], call.out[0].shape
    if call.name == "unsqueeze":
        place = call.given["dim"] % len(after)
        dims: list[int | None] | None = [*weight.dims[:place], None, *weight.dims[place:]]
    elif call.name == "expand":
        added: list[int | None] = [None] * (len(after) - len(before))
        dims = added + [
            dim if size == now else None for (size, dim), now in zip(before, after[len(added) :], strict=True)
        ]
    else:
        dims = _same_sides([side for side in before if side != (1, None)], after)
    return moved(state, call) if dims is None else [Weight(weight.name, tuple(dims))]


def parted(state: ChannelState, call: Call) -> Results:
    """A part of a weight, as of a table of positions, or the matrix of one expert.

    Along that dimension nothing goes once the part is read.
    """
    weight, tensor = state.state(call.args[0]), call.args[0]
    if not isinstance(weight, Weight):
        return MOVEMENT[call.name](state, call)
    here = call.given["dim"] % tensor.dim()
    if call.name == "slice" and call.out[0].shape == tensor.shape:
        return [weight]
    along = tuple(own if place == here else None for place, own in enumerate(weight.dims))
    state.derive((), call.out, [(Weight(weight.name, along), tensor.shape)])
    added = (None,) * (call.out[0].dim() - tensor.dim() + 1)
    dims = (*weight.dims[:here], *added, *weight.dims[here + 1 :])
    return [Weight(weight.name, dims) for _ in call.out]


def widened(state: ChannelState, call: Call) -> Results:
    """Zeros around a kernel's sides, as around a small one that is added to a larger one."""
    weight, pad = state.state(call.args[0]), call.given["pad"]
    if not isinstance(weight, Weight):
        return padded(state, call)
    padded_dims = [own for place, own in enumerate(reversed(weight.dims)) if any(pad[2 * place : 2 * place + 2])]
    if call.given["value"] != 0 or any(own in range(ENDS) for own in padded_dims):
        return unknown(state, call)
    return [weight]


def _same_sides(before: Sequence[Side], after: Sequence[int]) -> list[int | None] | None:
    """The dimensions, if no more than sides of one came and went; None if the numbers are in another order.

    Where a width is one itself it could be several: they are compared from the end if a one was put in front, as einsum
    does.
    """
    if len(after) and after[0] == 1:
        found = _in_order(before[::-1], after[::-1])
        return None if found is None else found[::-1]
    return _in_order(before, after)


def _in_order(before: Sequence[Side], after: Sequence[int]) -> list[int | None] | None:
    found: list[int | None] = []
    ahead = [*before]
    for size in after:
        while ahead and ahead[0][0] == 1 != size:
            ahead.pop(0)
        if ahead and ahead[0][0] == size:
            found.append(ahead.pop(0)[1])
        elif size == 1:
            found.append(None)
        else:
            return None
    return found if all(size == 1 for size, _ in ahead) else None


def combined(state: ChannelState, call: Call) -> Results | None:
    """A weight times a mask, a number for each of its rows, or a filter's profile: it is still that weight, where zeros
    of its own are zeros of the product. So is a sum of weights, where zeros of all of them are. None for all else.
    """
    tensors, size = call.tensors, call.out[0].shape
    states = [state.state(tensor) for tensor in tensors]
    weights = [
        own for own, tensor in zip(states, tensors, strict=True) if isinstance(own, Weight) and tensor.shape == size
    ]
    own = next((each for each in weights if state.is_learnt(each.name)), None)
    others = [(tensor, other) for tensor, other in zip(tensors, states, strict=True) if other != own]
    if own is None or not others or not all(map(state.is_fixed, tensors)):
        return None
    ties = [(other, _ties(own, size, tensor, other)) for tensor, other in others]
    known = [(other, tied) for other, tied in ties if tied is not None]
    if len(known) < len(ties):
        return None
    if not _is_silent(state, call, own, known):
        return None
    for other, tied in known:
        for dim, place in tied:
            labels = state.along_weight(own.name, dim, size[own.dims.index(dim)])
            if isinstance(other, TensorChannels):
                state.sets.unite(labels, other.labels)
            elif place is not None:
                state.follow(place[0], place[1], labels)
    return [own]


def _is_silent(state: ChannelState, call: Call, own: Weight, ties: Sequence[tuple[Carried, Ties]]) -> bool:
    """Whether zeros of a weight's own are zeros of what comes out, or zeros of all weights that are added to it."""
    states = [state.state(tensor) for tensor in call.tensors]
    added = []
    zero = [other == own for other in states]
    if not _vanishes(call, zero):
        added = [(other.name, tied) for other, tied in ties if isinstance(other, Weight)]
        sides = zip(own.dims, call.out[0].shape, strict=True)
        ends = {dim for dim, size in sides if dim in range(ENDS) and size > 1}
        if not all(state.is_learnt(name) and ends <= dict(tied).keys() for name, tied in added):
            return False
        zero = [isinstance(other, Weight) for other in states]
    rows = [one or isinstance(other, TensorChannels) for one, other in zip(zero, states, strict=True)]
    if not (_vanishes(call, zero) and _vanishes(call, rows)):
        return False
    for dim, place in (pair for _, tied in added for pair in tied):
        if place is not None:
            state.silence_together((own.name, dim), place)
    return True


def _vanishes(call: Call, zero: Sequence[bool]) -> bool:
    """Whether what comes out is zero where these operands are."""
    return everywhere(silence(call, call.tensors, [torch.tensor([own]) for own in zero]))


def _ties(own: Weight, size: Sequence[int], tensor: Tensor, other: Carried) -> Ties | None:
    """Which dimensions of a weight another tensor has numbers along, and where they are; None if they are not known.

    Along a kernel's sides nothing goes.
    """
    found: list[tuple[int, Place | None]] = []
    for place, here in enumerate(tensor.shape):
        dim = own.dims[place + len(size) - tensor.dim()]
        if here == 1 or (dim is not None and dim >= ENDS):
            continue
        if dim is None or other is None:
            return None
        if isinstance(other, Weight):
            found.append((dim, (other.name, other.dim(place))))
        elif other.axis == place:
            found.append((dim, None))
        else:
            return None
    return found


WEIGHTS: dict[str, Rule] = {
    **dict.fromkeys(_TURNED, turned),
    **dict.fromkeys(_FOLDED, folded),
    **dict.fromkeys(_PARTED, parted),
    "constant_pad_nd": widened,
}
