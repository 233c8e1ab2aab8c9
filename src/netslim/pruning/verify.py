"""The proof of a pruning: the unpruned network with the removed channels silenced, against the rebuilt one."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from netslim.core.modes import evaluation_mode
from netslim.core.protocols import PrunableModel, PrunePlan
from netslim.pruning.groups import groups_of, local_keep, scale_channels, scales_of

TOLERANCE = 1e-5


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far two networks' logits are apart.

    Attributes:
        max_difference: largest absolute difference of two logits.
        scale: largest absolute logit, at least 1.
    """

    max_difference: float
    scale: float

    @property
    def holds(self) -> bool:
        """Whether the difference is within 1e-5 of the logits' scale."""
        return self.max_difference <= TOLERANCE * self.scale


def verify(model: PrunableModel, small: PrunableModel, images: Tensor) -> Agreement:
    """Holds the masked original against the rebuilt network.

    Args:
        model: the network before pruning.
        small: what `apply(model, plan)` returned.
        images: inputs (N, C, H, W).
    """
    if small.plan is None:
        reference = model
    else:
        reference = masked(model, small.plan)
    with evaluation_mode(reference), evaluation_mode(small), torch.inference_mode():
        expected, found = reference(images), small(images)
    return Agreement(max_difference=float((expected - found).abs().max()), scale=max(1.0, float(expected.abs().max())))


def masked(model: PrunableModel, plan: PrunePlan) -> PrunableModel:
    """A full-size copy in which the channels that `plan` removes have scale and shift zero and contribute nothing."""
    copied = copy.deepcopy(model)
    for group, keep in zip(groups_of(copied), local_keep(copied, plan), strict=True):
        channels = scale_channels(copied, group)
        gone = sorted(set(channels) - {channels[position] for position in keep})
        with torch.no_grad():
            for bn in scales_of(copied, group):
                bn.weight[gone] = 0
                bn.bias[gone] = 0
    return copied
