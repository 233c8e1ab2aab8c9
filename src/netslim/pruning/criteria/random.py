"""A random order: the baseline that every criterion has to beat."""

import zlib

import torch
from torch import Tensor, nn

from netslim.core.protocols import ChannelGroup
from netslim.dependency.groups import channels_of
from netslim.pruning.criteria import CRITERIA
from netslim.pruning.criterion import Criterion, CriterionSpec, Evidence


def uniform(_: nn.Module, evidence: Evidence) -> Criterion:
    """Uniform scores, drawn from the plan's seed and the group's name: the same whatever other groups there are.

    Of shape (channels,), float32, in [0, 1).
    """

    def score(model: nn.Module, group: ChannelGroup) -> Tensor:
        generator = torch.Generator().manual_seed(zlib.crc32(f"{evidence.seed} {group.name}".encode()))
        return torch.rand(channels_of(model, group), generator=generator)

    return score


CRITERIA.register("random")(CriterionSpec(summary="to compare with", prepare=uniform, needs_scales=False))
