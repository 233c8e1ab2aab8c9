"""Mean |w| of a channel's filters (Li et al. 2017, section 3.1): needs no BatchNorm."""

import torch
from torch import Tensor, nn

from netslim.core.protocols import ChannelGroup
from netslim.pruning.criteria import CRITERIA, SCALELESS
from netslim.pruning.groups import channels_of, scale_channels, slices_of

SCALELESS.add("filter_norm")


@CRITERIA.register("filter_norm")
def filter_norm(model: nn.Module, group: ChannelGroup) -> Tensor:
    """Mean |w| of the weights that give the channel (of those that read it where a selection picks it), float32.

    Relative to the mean over the group, so that layers of other fan-in are comparable.
    """
    tensors = dict(model.named_parameters())
    slices = [part for part in slices_of(model, group) if part.tensor in tensors and tensors[part.tensor].dim() > 1]
    giving = [part for part in slices if part.gives] or slices
    scores = []
    for part in giving:
        weight = tensors[part.tensor].detach().abs().float().transpose(0, part.dim).flatten(1).mean(1)
        scores.append(weight[torch.tensor(part.positions, device=weight.device)].mean(1))
    score = torch.stack(scores).mean(0)
    score = score / score.mean().clamp(min=torch.finfo(torch.float32).tiny)
    everything = score.new_zeros(channels_of(model, group))
    everything[scale_channels(model, group)] = score
    return everything
