"""Distance to the other filters of the layer (He et al. 2019, section 3.3): the most replaceable go first."""

import torch
from torch import Tensor, nn

from netslim.core.protocols import ChannelGroup
from netslim.pruning.criteria import CRITERIA
from netslim.pruning.criterion import CriterionSpec
from netslim.pruning.filters import filters_of, relative


def geometric_median(model: nn.Module, group: ChannelGroup) -> Tensor:
    """Sum of Euclidean distances of a channel's filters to those of the group's other channels, (channels,), float32.

    Relative to the group's mean. The filter with the smallest sum is the nearest to the layer's geometric median.
    """
    return relative(model, group, [torch.cdist(filters, filters).sum(1) for filters in filters_of(model, group)])


CRITERIA.register("geometric_median")(
    CriterionSpec(summary="distance to the other filters", score=geometric_median, needs_scales=False)
)
