"""The layers whose scales say how much a channel counts: one scale per channel, multiplied with a normalised value."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

ScaleNorm = _BatchNorm | _InstanceNorm | nn.GroupNorm
_HAD_MORE = "had_more_groups"  # attribute of a GroupNorm that was cut


def scale_norms(model: nn.Module) -> dict[str, ScaleNorm]:
    """By name, in network order: every BatchNorm, InstanceNorm and GroupNorm with learnable scales, of any dimensions.

    A GroupNorm of one group mixes all channels, so that none can go: it is not among them, unless it had more.
    """
    return {name: norm for name, norm in _affine(model).items() if isinstance(norm.weight, nn.Parameter)}


def computed_scales(model: nn.Module) -> list[str]:
    """The names of those whose scales are computed from others (parametrizations, `torch.nn.utils.prune`)."""
    return [name for name, norm in _affine(model).items() if not isinstance(norm.weight, nn.Parameter)]


def _affine(model: nn.Module) -> dict[str, ScaleNorm]:
    norms = {name: own for name, own in model.named_modules() if isinstance(own, ScaleNorm)}
    return {name: norm for name, norm in norms.items() if norm.affine and not _is_of_one_group(norm)}


def lose_groups_(norm: nn.GroupNorm, left: int) -> None:
    """Makes a GroupNorm some of whose groups went say what it is, by the number of channels that are left."""
    norm.num_groups, norm.num_channels = norm.num_groups * left // norm.num_channels, left
    setattr(norm, _HAD_MORE, True)


def _is_of_one_group(norm: ScaleNorm) -> bool:
    return isinstance(norm, nn.GroupNorm) and norm.num_groups == 1 and not hasattr(norm, _HAD_MORE)
