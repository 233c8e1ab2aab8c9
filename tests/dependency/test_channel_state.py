"""What a state says of parameters, activations and constants, and which labels it gives to them."""

import torch
from torch import nn

from netslim.dependency.channel_sets import ChannelSets, TensorChannels
from netslim.dependency.channel_state import ChannelState
from netslim.dependency.trace import Trace, Weight


def test_vectors_have_channels_and_weights_have_dimensions() -> None:
    model = nn.ModuleDict({"bn": nn.BatchNorm2d(4), "fc": nn.Linear(5, 1)})
    model.register_parameter("scale", nn.Parameter(torch.ones(1, 6, 1)))
    state = ChannelState(model, Trace(ChannelSets()))
    scale, gamma = state.channels(model.scale), state.channels(model["bn"].weight)
    assert scale is not None
    assert gamma is not None
    assert (scale.axis, scale.labels.tolist()) == (1, [0, 1, 2, 3, 4, 5])
    assert (gamma.axis, gamma.labels.tolist(), gamma.silent.tolist()) == (0, [6, 7, 8, 9], [True] * 4)
    assert state.state(model["fc"].weight) == Weight("fc.weight", (0, 1))
    assert state.trace.silenced == {("scale", 1), ("bn.weight", 0)}
    assert state.trace.used == {"scale", "bn.weight", "fc.weight"}


def test_constants_and_counters_are_not_traced() -> None:
    model = nn.BatchNorm2d(4)
    state, constant, buffers = ChannelState(model, Trace(ChannelSets())), torch.ones(4), dict(model.named_buffers())
    assert state.state(constant) is None
    assert not state.is_traced(constant)
    assert not state.is_traced(buffers["num_batches_tracked"])
    assert state.is_traced(buffers["running_mean"])
    state.set(constant, TensorChannels(0, state.sets.fresh(4), torch.ones(4, dtype=torch.bool)))
    assert state.is_traced(constant)
    state.set(buffers["running_mean"], None)
    assert not state.is_traced(buffers["running_mean"])


def test_a_dimension_that_follows_twice_unites_both() -> None:
    state = ChannelState(nn.Linear(3, 2), Trace(ChannelSets()))
    first, second = state.sets.fresh(3), state.sets.fresh(3)
    state.follow("weight", 1, first)
    assert state.sets.roots(second).tolist() == [3, 4, 5]
    state.follow("weight", 1, second.flip(0))
    assert state.sets.roots(second).tolist() == [2, 1, 0]
    assert state.trace.dims["weight", 1] is first


def test_a_constant_is_repeated_as_often_as_its_parts_are_alike() -> None:
    state, unknown = ChannelState(nn.ReLU(), Trace(ChannelSets())), torch.empty(6, device="meta")
    constant = torch.tensor([1.0, 2.0, 1.0, 2.0, 1.0, 2.0])
    assert [state.is_repeated(constant, times) for times in (1, 2, 3, 6)] == [True, False, True, False]
    assert not state.is_repeated(unknown, 3)
    state.note_repeated(unknown)
    assert state.is_repeated(unknown, 3)
