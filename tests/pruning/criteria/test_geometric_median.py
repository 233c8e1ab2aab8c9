"""The sum of distances to the other filters."""

import torch
from torch import nn

from netslim.pruning.criteria.geometric_median import geometric_median
from pruning.networks import Flattened


def test_filters_on_a_line_are_scored_by_their_distances() -> None:
    model = Flattened(side=2, channels=4)
    nn.init.zeros_(model.conv.weight)
    model.conv.weight.data[:, 0, 0, 0] = torch.tensor([0.0, 1.0, 2.0, 10.0])
    sums = torch.tensor([13.0, 11.0, 11.0, 27.0])  # 0: 1 + 2 + 10; 1: 1 + 1 + 9; 2: 2 + 1 + 8; 10: 10 + 9 + 8
    found = geometric_median(model, model.channel_groups()[0])
    torch.testing.assert_close(found, sums / sums.mean())


def test_what_all_filters_have_in_common_does_not_count() -> None:
    model = Flattened(side=2, channels=5)
    group = model.channel_groups()[0]
    before = geometric_median(model, group)
    model.conv.weight.data += torch.randn(1, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(geometric_median(model, group), before)
