"""Sum of squares of all weights that go with a channel (Fang et al. 2023, section 3.2): needs no BatchNorm."""

import torch
from torch import Tensor, nn

from netslim.core.protocols import ChannelGroup
from netslim.pruning.criteria import CRITERIA
from netslim.pruning.criterion import CriterionSpec
from netslim.pruning.filters import relative, weights_of


def group_l2_norm(model: nn.Module, group: ChannelGroup) -> Tensor:
    """Sum of the squares of what gives and what reads a channel and of its scales, relative to the group's mean.

    Shape (channels,), float32. The ranks are those of Torch-Pruning's `GroupMagnitudeImportance`.
    """
    squares = [weights.square().sum(1) for weights in weights_of(model, group)]
    return relative(model, group, [torch.stack(squares).sum(0)])


CRITERIA.register("group_l2_norm")(
    CriterionSpec(summary="sum of squares of all weights that go", score=group_l2_norm, needs_scales=False)
)
