"""What is not known freezes what it is given, with the line as the reason."""

import torch
from torch import nn

from netslim.dependency.channel_sets import ChannelSets, TensorChannels
from netslim.dependency.channel_state import ChannelState
from netslim.dependency.rules.fallback import unknown
from netslim.dependency.trace import Call, Trace

VALUES, OUT = torch.empty(2, 3), torch.empty(2)


def test_all_that_goes_in_stays_and_so_does_what_comes_out() -> None:
    state = ChannelState(nn.ReLU(), Trace(ChannelSets()))
    state.sets.fresh(1)
    state.set(VALUES, TensorChannels(1, state.sets.fresh(3), torch.ones(3, dtype=torch.bool)))
    (found,) = unknown(state, Call("sort", None, ([VALUES],), {}, {}, [OUT], "net.py:3"))
    assert isinstance(found, TensorChannels)
    assert (found.axis, found.labels.tolist(), found.silent.tolist()) == (None, [4], [False])
    reason = "passes sort at net.py:3, which is not known to keep channels apart"
    assert state.sets.frozen() == {1: reason, 2: reason, 3: reason, 4: "comes from sort at net.py:3"}


def test_a_reason_that_is_given_is_the_one_that_counts() -> None:
    state = ChannelState(nn.ReLU(), Trace(ChannelSets()))
    state.set(VALUES, TensorChannels(1, state.sets.fresh(3), torch.ones(3, dtype=torch.bool)))
    unknown(state, Call("sort", None, (), {"input": VALUES}, {}, [], "net.py:3"), "is odd")
    assert state.sets.frozen() == {0: "is odd", 1: "is odd", 2: "is odd"}


def test_of_weights_alone_it_is_a_constant() -> None:
    model = nn.Conv2d(3, 4, 3)
    state = ChannelState(model, Trace(ChannelSets()))
    call = Call("svd", None, (model.weight, torch.ones(1)), {}, {}, [OUT, OUT], "net.py:3")
    assert list(unknown(state, call)) == [None, None]
    assert state.sets.frozen() == {}
