"""Widths that are multiples, and the same share of every layer."""

import pytest
import torch
from torch import nn

from netslim.core.errors import UsageError
from netslim.models import create_model
from netslim.pruning import apply, plan
from pruning import structures
from pruning.networks import EXAMPLE, Flattened, randomised, resnet

MODEL = resnet(20, num_classes=5)


@pytest.mark.parametrize("round_to", [2, 4, 8])
def test_widths_are_multiples_or_listed(round_to: int) -> None:
    model = create_model("vgg", depth=11, cfg=[6, "M", 8, "M", 12, 9, "M", 16, 10, "M", 12, 20], in_channels=1)
    randomised(model)
    decided = plan(model, torch.zeros(1, 1, 16, 16), percent=0.4, round_to=round_to)
    assert decided.round_to == round_to
    odd = [group.name for group in decided.groups if len(group.keep) % round_to]
    assert list(decided.unrounded) == odd
    assert all(group.total == len(group.keep) for group in decided.groups if group.name in odd)
    count = plan(model, torch.zeros(1, 1, 16, 16), percent=0.4).kept
    assert abs(decided.kept - count) <= round_to


def test_a_rounded_width_is_the_nearest() -> None:
    """64 -> 29 of 64 lowest go: 35 stay, which is nearer to 32 than to 40."""
    model = Flattened(side=2, channels=64)
    model.bn.weight.data = torch.arange(1.0, 65.0)
    decided = plan(model, torch.zeros(1, 1, 2, 2), percent=28 / 64, round_to=8)
    assert decided.groups[0].keep == tuple(range(32, 64))
    assert plan(model, torch.zeros(1, 1, 2, 2), percent=20 / 64, round_to=8).groups[0].keep == tuple(range(24, 64))


def test_a_group_that_is_narrower_than_the_multiple_stays_whole() -> None:
    model = Flattened(side=2, channels=6)
    decided = plan(model, torch.zeros(1, 1, 2, 2), percent=0.9, round_to=8)
    assert decided.groups[0].keep == tuple(range(6))
    assert decided.unrounded == ("bn",)
    with pytest.raises(UsageError, match="the least that can be reached is"):
        plan(model, torch.zeros(1, 1, 2, 2), target_macs=0.5, round_to=8)


def test_rounding_is_of_layers_where_a_channel_is_several_of_theirs() -> None:
    """Convolutions of 3 groups: a channel of the group is whole filters of each."""
    model = randomised(structures.Grouped())
    plain = plan(model, torch.zeros(structures.SHAPE), percent=0.5)
    decided = plan(model, torch.zeros(structures.SHAPE), percent=0.5, round_to=2)
    small = apply(model, decided)
    widths = [m.out_channels for name, m in small.named_modules() if isinstance(m, nn.Conv2d)]
    assert all(width % 2 == 0 for width in widths), (widths, plain)


def test_rounding_never_goes_below_the_floor() -> None:
    decided = plan(MODEL, EXAMPLE, percent=0.99, min_channels=9, round_to=4)
    assert {len(group.keep) for group in decided.groups} == {12}
    assert set(decided.clamped) == {group.name for group in decided.groups}


def test_per_layer_takes_the_same_share_of_every_layer() -> None:
    decided = plan(MODEL, EXAMPLE, percent=0.3, per_layer=True)
    for group in decided.groups:
        assert len(group.keep) == group.total - int(group.total * 0.3 + 0.5)
        scale = MODEL.get_submodule(group.name).weight.abs()
        assert scale[list(group.keep)].min() >= max(scale[c] for c in range(group.total) if c not in group.keep)
    assert decided.clamped == ()
