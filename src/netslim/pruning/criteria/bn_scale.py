"""|gamma|: the BatchNorm scale, made sparse by the L1 penalty (Liu et al. 2017, section 3)."""

import torch
from torch import Tensor, nn

from netslim.core.protocols import ChannelGroup
from netslim.dependency.groups import gammas_of
from netslim.pruning.criteria import CRITERIA
from netslim.pruning.criterion import CriterionSpec


def bn_scale(model: nn.Module, group: ChannelGroup) -> Tensor:
    """Mean |gamma| over the group's BatchNorms, shape (channels,), float32."""
    return torch.stack([gammas.abs().float().mean(1) for gammas in gammas_of(model, group)]).mean(0)


CRITERIA.register("bn_scale")(CriterionSpec(summary="|gamma| of BatchNorm", score=bn_scale))
