"""Mean |w| of a channel's filters (Li et al. 2017, section 3.1): needs no BatchNorm."""

from torch import Tensor, nn

from netslim.core.protocols import ChannelGroup
from netslim.pruning.criteria import CRITERIA
from netslim.pruning.criterion import CriterionSpec
from netslim.pruning.filters import filters_of, relative


def l1_norm(model: nn.Module, group: ChannelGroup) -> Tensor:
    """Mean |w| of each channel's filters relative to the group's mean, shape (channels,), float32."""
    return relative(model, group, [filters.abs().mean(1) for filters in filters_of(model, group)])


CRITERIA.register("l1_norm")(CriterionSpec(summary="sum of a filter's |weights|", score=l1_norm, needs_scales=False))
