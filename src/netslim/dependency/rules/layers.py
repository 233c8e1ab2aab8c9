"""What layers with weights do to channel labels: convolution, linear, normalisation over images."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from netslim.dependency.channel_sets import TensorChannels, everywhere
from netslim.dependency.channel_state import ChannelState, Rule
from netslim.dependency.rules.fallback import unknown
from netslim.dependency.trace import Call, Results, Trace, Weight


def convolution(state: ChannelState, call: Call) -> Results:
    """Reads the channels in dimension 1 and gives new ones."""
    tensor, groups, transposed = call.args[0], call.given["groups"], call.given["transposed"]
    inputs = state.channels_along(tensor, 1)
    weight = state.weight(call.args[1])
    if inputs is None:
        return _across(state, call, tensor, weight if groups == 1 else None, 1 if transposed else 0)
    if not transposed and groups == tensor.shape[1] and _is_shared(state, call.args[1], weight, groups):
        each = call.out[0].shape[1] // groups  # the same fixed filters for every channel
        silent = inputs.silent & (call.given["bias"] is None)
        labels = inputs.labels.repeat_interleave(each)
        state.count_beside(call.out[0].numel() * call.args[1][0].numel(), inputs)
        return [_with_bias(state, call.given["bias"], 1, labels, silent.repeat_interleave(each))]
    if weight is None:
        return unknown(state, call, f"is read by {call}, whose weight is computed")
    if groups > 1 or weight.name in state.trace.grouping:
        labels = _grouped(state, call, weight, inputs)
    else:
        reads, gives = (0, 1) if transposed else (1, 0)
        labels = _produced(state, weight, gives, call.out[0].shape[1])
        consume(state, call, weight.name, weight.dim(reads), inputs)
    silent = _given(state, weight, labels)
    if groups == tensor.shape[1] or state.trace.grouping.get(weight.name):  # what a group reads and gives goes together
        silent |= inputs.silent.view(groups, -1).all(1).repeat_interleave(len(labels) // groups)
    return [_with_bias(state, call.given["bias"], 1, labels, silent)]


def _across(state: ChannelState, call: Call, tensor: Tensor, weight: Weight | None, gives: int) -> Results:
    """Channels along another dimension than the one that is read are mixed, and stay; what is given has its own."""
    carried = state.channels(tensor)
    if carried is None or weight is None or weight.name in state.trace.grouping:
        return unknown(state, call, f"is mixed with other channels by {call}")
    state.sets.freeze(carried.labels, f"is mixed with other channels by {call}")
    labels = state.produced(weight.name, weight.dim(gives), call.out[0].shape[1])
    bias = call.args[0] if call.name == "addmm" else call.given.get("bias")
    return [_with_bias(state, bias, 1, labels, _given(state, weight, labels))]


def _given(state: ChannelState, weight: Weight, labels: Tensor) -> Tensor:
    """Where what a convolution gives is silent."""
    return torch.full((len(labels),), state.is_learnt(weight.name) and not state.scales_alone)


def _is_shared(state: ChannelState, tensor: Tensor, weight: Weight | None, times: int) -> bool:
    """Whether every channel meets the same filters: a constant that repeats itself, an expanded parameter or buffer."""
    return state.is_repeated(tensor, times) if weight is None else weight.dims[0] is None and times > 1


def _grouped(state: ChannelState, call: Call, weight: Weight, inputs: TensorChannels) -> Tensor:
    """Many small groups go as a whole, with what they read and give; few large ones lose equally many channels each.

    A weight has its outputs along its first dimension and a group's inputs along the second; one of a transposed
    convolution its inputs along the first and a group's outputs along the second.
    """
    groups, outputs, transposed = call.given["groups"], call.out[0].shape[1], call.given["transposed"]
    reads, (first, second) = inputs.labels.view(groups, -1), (weight.dim(0), weight.dim(1))
    grouping = state.trace.grouping
    if weight.name not in grouping:
        grouping[weight.name] = _go_whole(state.trace, weight.name, reads, outputs)
    if grouping[weight.name]:
        state.sets.unite(reads, reads[:, :1])
        alike = reads[:, :1].expand(groups, outputs // groups).flatten()
        state.follow(weight.name, first, inputs.labels if transposed else alike)
        state.silences((weight.name, first))
        return alike
    state.sets.unite(reads, reads[:1])
    silent = inputs.silent.view(groups, -1).all(0)
    if transposed:
        consume(state, call, weight.name, first, TensorChannels(1, inputs.labels, silent.repeat(groups)))
        return state.produced(weight.name, second, outputs // groups).repeat(groups)
    labels = state.produced(weight.name, first, outputs)
    state.sets.unite(labels.view(groups, -1), labels.view(groups, -1)[:1])
    consume(state, call, weight.name, second, TensorChannels(1, reads[0], silent))
    return labels


def _go_whole(trace: Trace, name: str, reads: Tensor, outputs: int) -> bool:
    """Whether groups of a convolution go as a whole, not the same channels of each.

    As its outputs were tied, or else as what it reads is: (groups, channels of one) and its number of outputs. Where
    neither says so, many small ones do.
    """
    groups, width = reads.shape
    if name in trace.ties:
        return trace.ties[name].pieces % groups != 0
    roots = trace.sets.roots(reads)
    across, within = everywhere(roots == roots[:1]), everywhere(roots == roots[:, :1])
    return within if across != within else groups >= min(width, outputs // groups)


def deformable(state: ChannelState, call: Call) -> Results:
    """torchvision's convolution at places that are computed: they and its factors are the same for all channels."""
    inputs, weight = state.channels_along(call.args[0], 1), state.weight(call.args[1])
    if inputs is None or weight is None or call.args[1].shape[1] != call.args[0].shape[1]:
        return unknown(state, call, f"is mixed with other channels by {call}")
    for name in ("offset", "mask"):
        if (places := state.channels(call.given[name])) is not None:
            state.sets.freeze(places.labels, f"says where {call} samples")
    if call.given["offset"].shape[1] != 2 * math.prod(call.args[1].shape[2:]):
        return unknown(state, call, f"is sampled in groups by {call}")
    labels = state.produced(weight.name, weight.dim(0), call.out[0].shape[1])
    consume(state, call, weight.name, weight.dim(1), inputs)
    return [_with_bias(state, call.given["bias"], 1, labels)]


def linear(state: ChannelState, call: Call) -> Results:
    """mm and addmm: the last dimension is read, and a new one given."""
    tensor, matrix = (call.args[1], call.args[2]) if call.name == "addmm" else (call.args[0], call.args[1])
    inputs, weight = state.channels_along(tensor, 1), state.weight(matrix)
    if call.name == "mm" and (beside := _beside(state, call)) is not None:
        return beside
    if inputs is None or weight is None:
        return _across(state, call, tensor, weight, 1)
    consume(state, call, weight.name, weight.dim(0), inputs)
    labels = _produced(state, weight, 1, call.out[0].shape[1])
    return [_with_bias(state, call.args[0] if call.name == "addmm" else None, 1, labels)]


def _produced(state: ChannelState, weight: Weight, dim: int, size: int) -> Tensor:
    """The labels that a weight gives along a dimension; where it is a part of one, they stay."""
    if weight.dims[dim] is None:
        return state.frozen(f"is given by a part of {weight.name}").labels.expand(size)
    return state.produced(weight.name, weight.dim(dim), size)


def _beside(state: ChannelState, call: Call) -> Results | None:
    """A matrix of the network's own, or a constant, that acts on another dimension than the channels', as a graph's."""
    for own, other, axis in ((0, 1, 0), (1, 0, 1)):
        carried, matrix = state.channels(call.args[own]), call.args[other]
        if carried is not None and carried.axis == axis and state.acts_beside(matrix, carried, call):
            return [carried]
    return None


def bilinear(state: ChannelState, call: Call) -> Results:
    """nn.Bilinear: its weight (outputs, first inputs, second inputs) reads both."""
    weight, inputs = state.weight(call.args[1]), [state.channels_along(call.args[place], 1) for place in (0, 2)]
    if weight is None or call.given["sumdim"] != [2, 3]:
        return unknown(state, call)
    for dim, own in enumerate(inputs, start=1):
        if own is None:
            return unknown(state, call)
        consume(state, call, weight.name, weight.dim(dim), own)
    labels = state.produced(weight.name, weight.dim(0), call.out[0].shape[1])
    return [_with_bias(state, None, 1, labels)]


def embedding(state: ChannelState, call: Call) -> Results:
    """Rows of a table by their numbers: its columns are channels."""
    weight, numbers = state.weight(call.args[0]), state.channels(call.args[1])
    if weight is None:
        return unknown(state, call)
    if numbers is not None:
        state.sets.freeze(numbers.labels, f"says what {call} looks up")
    labels = state.produced(weight.name, weight.dim(1), call.out[0].shape[-1])
    return [_with_bias(state, None, call.out[0].dim() - 1, labels)]


def batch_norm(state: ChannelState, call: Call) -> Results:
    """Hands labels on, in dimension 1; its scale and shift silence them."""
    inputs = state.channels_along(call.args[0], 1)
    if inputs is None:
        return unknown(state, call)
    return [_normalised(state, call, inputs), *(None for _ in call.out[1:])]


def group_norm(state: ChannelState, call: Call) -> Results:
    """Channels that share their statistics go together; where all do, they are mixed."""
    inputs, groups = state.channels_along(call.args[0], 1), call.given["group"]
    if inputs is None or (groups == 1 and not _go_together(state, inputs.labels)):
        return unknown(state, call, f"is mixed with other channels by {call}")
    together = inputs.labels.view(groups, -1)
    state.sets.unite(together, together[:, :1])
    silent = inputs.silent.view(groups, -1).all(1).repeat_interleave(together.shape[1])
    return [_normalised(state, call, TensorChannels(1, inputs.labels, silent)), None, None]


def _go_together(state: ChannelState, labels: Tensor) -> bool:
    """Whether channels are one set of those that can go: the last group that is left of several."""
    roots = state.sets.roots(labels)
    return everywhere(roots == roots[:1]) and not state.sets.stay(labels)


def _normalised(state: ChannelState, call: Call, inputs: TensorChannels) -> TensorChannels:
    weight, mean = call.given["weight"], call.given.get("running_mean")
    silencing = {"weight", "bias"} if weight is not None else {"bias", "running_mean"}
    for key in ("weight", "bias", "running_mean", "running_var"):
        own = call.given.get(key)
        if own is None:
            continue
        name = state.name_of(own)
        if name is not None:
            state.follow(name, 0, inputs.labels)
            if key in silencing:
                state.trace.silenced.add((name, 0))
        elif (carried := state.channels(own)) is not None:
            state.sets.unite(carried.labels, inputs.labels)
        else:
            state.sets.freeze(inputs.labels, f"meets a tensor that is no parameter in {call}")
    name = state.name_of(weight)
    if name is not None and name not in state.trace.scales:
        state.trace.scales.append(name)
    centred = mean is None or (weight is None and state.name_of(mean) is not None)  # zeros stay zeros
    silent = (inputs.silent & centred) | (_can_vanish(state, weight) if weight is not None else False)
    silent = silent & (_can_vanish(state, call.given["bias"]) if call.given["bias"] is not None else True)
    return TensorChannels(1, inputs.labels, silent)


def _can_vanish(state: ChannelState, own: Tensor) -> Tensor:
    """Where numbers, one of each channel, are zero once it is silent: of a parameter, and perhaps where computed."""
    carried = None if state.name_of(own) is not None else state.channels(own)
    return torch.tensor([state.name_of(own) is not None]) if carried is None else carried.silent


def recurrent(state: ChannelState, call: Call) -> Results:
    """LSTM and GRU read the last dimension of a sequence with the input weights of their first layer."""
    inputs = state.channels_along(call.args[0], call.args[0].dim() - 1)
    if inputs is None or any(state.state(hidden) is not None for hidden in call.given["hidden"]):
        return unknown(state, call, f"is mixed with other channels by {call}")
    matrices = [tensor for tensor in call.given["weights"] if tensor.dim() > 1]
    readers = [state.weight(tensor) for tensor in (matrices[0], *_reverse(call, matrices))]
    for reader in readers:
        if reader is None:
            return unknown(state, call, f"is read by {call}, whose weight is computed")
        consume(state, call, reader.name, reader.dim(1), inputs)
    for tensor in call.given["weights"]:
        if (name := state.name_of(tensor)) is not None:
            state.trace.used.add(name)
    return [state.frozen(f"comes from {call}") for _ in call.out]


def _reverse(call: Call, matrices: list[Tensor]) -> list[Tensor]:
    """The input weights of the first layer for the other direction: they come after the forward one's matrices."""
    if not call.given["bidirectional"]:
        return []
    each = 3 if call.name == "lstm" and matrices[2].shape[0] != matrices[0].shape[0] else 2  # with a projection
    return [matrices[each]]


def consume(state: ChannelState, call: Call, name: str, dim: int, inputs: TensorChannels) -> None:
    """Inputs that are not zero for a silent channel would be missed."""
    if not (state.training or everywhere(inputs.silent)):
        loud = inputs.labels[~inputs.silent]
        state.sets.freeze(loud, f"is not zero where it is read ({call.where}) although its channel is silent")
    state.follow(name, dim, inputs.labels)


def _with_bias(
    state: ChannelState, bias: Any, dim: int, labels: Tensor, silent: Tensor | None = None
) -> TensorChannels:
    silent = torch.full((len(labels),), not state.scales_alone) if silent is None else silent
    if bias is not None:
        name, cast = state.name_of(bias), state.channels(bias)
        if name is not None:
            state.follow(name, 0, labels)
            state.trace.silenced.add((name, 0))
        elif cast is not None and len(cast.labels) == len(labels):
            state.sets.unite(labels, cast.labels)
            silent = silent & cast.silent
        else:
            silent = torch.zeros_like(silent)
            state.sets.freeze(labels, "has a bias that is no parameter")
    return TensorChannels(dim, labels, silent)


LAYERS: dict[str, Rule] = {
    **dict.fromkeys(("convolution", "_convolution"), convolution),
    "deform_conv2d": deformable,
    **dict.fromkeys(("mm", "addmm"), linear),
    "_trilinear": bilinear,
    "embedding": embedding,
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), recurrent),
    **dict.fromkeys(
        (
            *("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"),
            *("_batch_norm_with_update", "_batch_norm_no_update", "cudnn_batch_norm", "batch_norm", "instance_norm"),
        ),
        batch_norm,
    ),
    "native_group_norm": group_norm,
}
