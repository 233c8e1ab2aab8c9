"""Groups declared by hand: flattened inputs, coupled scales, biases, and what cannot be pruned."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Coupled, Flattened, edited, randomised
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.protocols import ChannelGroup, Consumer, PrunableModel
from netslim.cost import measure
from netslim.pruning import apply, plan, verify


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


def test_an_activation_that_makes_something_of_zero_is_found_out() -> None:
    class Bright(Flattened):
        def forward(self, x: Tensor) -> Tensor:
            return self.fc(torch.sigmoid(self.bn(self.plain(self.conv(x)))).flatten(1))

    model = randomised(Bright())
    images = torch.randn(2, 1, 4, 4)
    with pytest.raises(UsageError) as caught:
        apply(model, plan(model, images[:1], percent=0.5))
    assert re.fullmatch(
        r"Bright without the planned channels does something else than with them silenced: output differs by [\d.]+% of "
        r"its size on random inputs; leave layers out with `ignore`, and please report it",
        str(caught.value),
    )


class Declared(PrunableModel):
    """A network whose one group is whatever a test says."""

    def __init__(self, **group: object) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)
        self.depthwise = nn.Conv2d(4, 4, 3, groups=4)
        self.bn, self.plain = nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False)
        self.fc = nn.Linear(4, 4)
        self.declared = {"name": "g", "scales": ("bn",)} | group

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.plain(self.bn(self.depthwise(self.conv(x)))).mean((2, 3)))

    def channel_groups(self) -> list[ChannelGroup]:
        return [ChannelGroup(**self.declared)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({"scales": ()}, "group 'g' has no BatchNorm with a scale to score its channels with"),
        ({"scales": ("conv",)}, "group 'g' has no BatchNorm with a scale to score its channels with"),
        ({"scales": ("bn", "plain")}, "group 'g' has no BatchNorm with a scale to score its channels with"),
        ({"producers": ("fc",)}, "channels of a Linear can't be removed"),
        ({"producers": ("depthwise",)}, "channels of a Conv2d can't be removed"),
        ({"consumers": (Consumer(module="depthwise"),)}, "inputs of a Conv2d can't be removed"),
        ({"consumers": (Consumer(module="bn"),)}, "inputs of a BatchNorm2d can't be removed"),
        ({"selection": "conv"}, "group 'g' names 'conv' as its selection, which is a Conv2d"),
    ],
)
def test_declarations_that_cannot_be_carried_out(group: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan(Declared(**group), torch.zeros(1, 4, 3, 3), percent=0.5)
    assert str(caught.value) == message
