"""The weights that belong to a group's channels, for criteria that need no BatchNorm."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from netslim.core.protocols import ChannelGroup, Slice
from netslim.dependency.groups import BoundGroup, bind, gammas_of


def filters_of(model: nn.Module, group: ChannelGroup) -> list[Tensor]:
    """Per layer that gives the group's channels (that reads them, where a selection picks them), their weights.

    Returns:
        Tensors of shape (channels still in use, weights per channel), float32. Of a group without such layers, its
        vectors; of one without parameters, its buffers.
    """
    tensors = _tensors(model)
    slices = _weights(tensors, bind(model, group))
    return _by_channel(tensors, [part for part in slices if part.produces] or slices)


def weights_of(model: nn.Module, group: ChannelGroup) -> list[Tensor]:
    """Per layer that gives or reads the group's channels, their weights, and their BatchNorm scales.

    Returns:
        Tensors of shape (channels still in use, weights per channel), float32.
    """
    tensors, bound = _tensors(model), bind(model, group)
    scales = gammas_of(model, group) if group.scales else []
    return [*_by_channel(tensors, _weights(tensors, bound)), *(gammas[bound.channels].float() for gammas in scales)]


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_buffers()), **dict(model.named_parameters())}


def _weights(tensors: Mapping[str, Tensor], bound: BoundGroup) -> list[Slice]:
    """Where the channels sit in matrices and filters; where there are none, in vectors."""
    learnt = [part for part in bound.slices if isinstance(tensors[part.tensor], nn.Parameter)]
    known = learnt or list(bound.slices)
    return [part for part in known if tensors[part.tensor].dim() > 1] or known


def _by_channel(tensors: Mapping[str, Tensor], slices: Iterable[Slice]) -> list[Tensor]:
    found = []
    for part in slices:
        weight = tensors[part.tensor].detach().float().movedim(part.dim, 0)
        found.append(weight[part.positions.to(weight.device)].flatten(1))
    return found


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
