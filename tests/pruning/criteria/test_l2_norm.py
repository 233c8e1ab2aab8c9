"""The root mean square of a filter."""

import torch
from torch import nn

from netslim.pruning.criteria.l2_norm import l2_norm
from pruning.networks import Flattened


def test_the_euclidean_norm_decides() -> None:
    """Filters (3, -3, 0...), (5, 0...) and (-1, 0...): the norms disagree which of the first two is larger."""
    model = Flattened(side=2, channels=3)
    nn.init.zeros_(model.conv.weight)
    filters = model.conv.weight.data.view(3, 9)
    filters[0, :2], filters[1, 0], filters[2, 0] = torch.tensor([3.0, -3.0]), 5.0, -1.0
    expected = torch.tensor([18**0.5, 5.0, 1.0])
    torch.testing.assert_close(l2_norm(model, model.channel_groups()[0]), expected / expected.mean())


def test_the_scale_of_a_whole_layer_does_not_count() -> None:
    model = Flattened(side=2, channels=5)
    group = model.channel_groups()[0]
    before = l2_norm(model, group)
    model.conv.weight.data *= -7
    torch.testing.assert_close(l2_norm(model, group), before)
    assert not before.requires_grad
