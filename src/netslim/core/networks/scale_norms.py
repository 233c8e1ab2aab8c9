"""The layers whose scales say how much a channel counts: one scale per channel, multiplied with a normalised value."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

ScaleNorm = _BatchNorm | _InstanceNorm


def scale_norms(model: nn.Module) -> dict[str, ScaleNorm]:
    """By name, in network order: every BatchNorm and InstanceNorm with learnable scales, of any dimensions."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm | _InstanceNorm) and module.affine
    }
