"""Root mean square of a channel's filters (Li et al. 2017, section 3.1; He et al. 2018): needs no BatchNorm."""

from torch import Tensor, nn

from netslim.core.protocols import ChannelGroup
from netslim.pruning.criteria import CRITERIA
from netslim.pruning.criterion import CriterionSpec
from netslim.pruning.filters import filters_of, relative


def l2_norm(model: nn.Module, group: ChannelGroup) -> Tensor:
    """Root mean square of each channel's filters relative to the group's mean, shape (channels,), float32."""
    return relative(model, group, [filters.square().mean(1).sqrt() for filters in filters_of(model, group)])


CRITERIA.register("l2_norm")(CriterionSpec(summary="length of a filter", score=l2_norm, needs_scales=False))
