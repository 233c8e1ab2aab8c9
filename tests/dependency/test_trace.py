"""How a call and an event read in a reason, and how long the labelled dimensions are."""

import torch

from netslim.dependency.channel_sets import ChannelSets
from netslim.dependency.trace import Call, Event, Trace


def test_a_call_and_an_event_name_their_line() -> None:
    assert str(Call("add", None, (), {}, {}, [], "net.py:7", "conv")) == "add at net.py:7"
    assert str(Event("add", "net.py:7", (), ())) == "net.py:7 (add)"


def test_the_sizes_are_those_of_the_labels() -> None:
    sets = ChannelSets()
    trace = Trace(sets, dims={("conv.weight", 0): sets.fresh(4), ("fc.weight", 1): torch.tensor([0, 0, 1, 1, 2, 2])})
    assert trace.sizes == {("conv.weight", 0): 4, ("fc.weight", 1): 6}
