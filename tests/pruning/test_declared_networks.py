"""Groups declared by hand: flattened inputs, coupled scales, biases."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netslim.core.errors import UsageError
from netslim.cost import measure
from netslim.pruning import apply, plan, verify
from pruning.networks import Coupled, Flattened, edited, randomised


@given(st.integers(1, 5), st.integers(1, 9), st.floats(0, 0.99), st.integers(0, 100))
@settings(deadline=None, max_examples=25)
def test_a_flatten_gives_every_channel_its_run_of_inputs(side: int, channels: int, percent: float, seed: int) -> None:
    torch.manual_seed(seed)
    model = randomised(Flattened(side, channels))
    images = torch.randn(3, 1, side, side)
    small = apply(model, plan(model, images[:1], percent=percent))
    assert small.plan is not None
    keep = small.plan.groups[0].keep
    inputs = [channel * side**2 + pixel for channel in keep for pixel in range(side**2)]
    assert torch.equal(small.fc.weight, model.fc.weight[:, inputs])
    assert small.fc.in_features == len(inputs)
    assert torch.equal(small.conv.bias, model.conv.bias[list(keep)])
    assert torch.equal(small.plain.running_var, model.plain.running_var[list(keep)])
    assert small.plain.weight is None
    assert verify(model, small, images).agrees


def test_the_cost_of_a_flattened_network() -> None:
    model = Flattened(side=4, channels=6)
    images = torch.zeros(1, 1, 4, 4)
    small = apply(model, edited(plan(model, images, percent=0), keep=[0, 4]))
    cost = measure(small, images)
    assert (cost.params, cost.macs) == (2 * 10 + 2 * 2 + 32 * 3 + 3, 2 * 9 * 16 + 32 * 3)


@given(st.floats(0, 0.99), st.integers(0, 100))
@settings(deadline=None, max_examples=20)
def test_coupled_scales_are_scored_by_their_mean_and_go_together(percent: float, seed: int) -> None:
    torch.manual_seed(seed)
    model = randomised(Coupled())
    images = torch.randn(3, 1, 6, 6)
    decided = plan(model, images[:1], percent=percent)
    scores = (model.left_bn.weight.abs() + model.right_bn.weight.abs()).tolist()
    best = sorted(range(8), key=lambda channel: scores[channel])[8 - len(decided.groups[0].keep) :]
    assert decided.groups[0].keep == tuple(sorted(best))
    small = apply(model, decided)
    for module in (small.left, small.right, small.left_bn, small.right_bn):
        assert module.weight.shape[0] == len(best)
    assert (small.right.bias, small.out.in_channels, small.skip.in_channels) == (None, len(best), len(best))
    assert verify(model, small, images).agrees


def test_pruned_twice() -> None:
    torch.manual_seed(0)
    model = randomised(Coupled())
    images = torch.randn(2, 1, 6, 6)
    once = apply(model, plan(model, images[:1], percent=0.3))
    twice = apply(once, plan(once, images[:1], percent=0.3))
    assert twice.plan is not None
    assert torch.equal(apply(model, twice.plan)(images), twice(images))
    assert verify(model, twice, images).holds
    with pytest.raises(UsageError) as caught:
        plan(once, torch.zeros(1, 1, 9, 9), percent=0.3)
    assert str(caught.value) == "Coupled was pruned at inputs of 1 x 6 x 6; give an example of that size again"
