"""The weights that belong to a group's channels, for criteria that need no BatchNorm."""

import torch
from torch import Tensor, nn

from netslim.core.protocols import ChannelGroup
from netslim.dependency.groups import bind


def filters_of(model: nn.Module, group: ChannelGroup) -> list[Tensor]:
    """Per layer that gives the group's channels (that reads them, where a selection picks them), their weights.

    Returns:
        Tensors of shape (channels still in use, weights per channel), float32. Of a group without such layers, its
        vectors.
    """
    tensors = dict(model.named_parameters())
    known = [part for part in bind(model, group).slices if part.tensor in tensors]
    slices = [part for part in known if tensors[part.tensor].dim() > 1] or known
    filters = []
    for part in [part for part in slices if part.gives] or slices:
        weight = tensors[part.tensor].detach().float().movedim(part.dim, 0)
        filters.append(weight[part.positions.to(weight.device)].flatten(1))
    return filters


def relative(model: nn.Module, group: ChannelGroup, scores: list[Tensor]) -> Tensor:
    """The mean of several scores of the channels in use, each relative to its mean over the group.

    So layers of another fan-in or scale are comparable. Channels that a selection no longer picks score zero.
    """
    tiny = torch.finfo(torch.float32).tiny
    score = torch.stack([own / own.mean().clamp(min=tiny) for own in scores]).mean(0)
    bound = bind(model, group)
    everything = score.new_zeros(bound.width)
    everything[bound.channels] = score
    return everything
