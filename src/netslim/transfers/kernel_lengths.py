"""How long the kernels of a transferred network are when its training starts."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.protocols import PrunableModel
from netslim.transfers.layer_roles import INNER, role_of

INSIDE = 0.4  # of the root mean square of a fresh kernel
WRITTEN = 0.5


def shorten_(model: PrunableModel, fresh: PrunableModel) -> None:
    """Shortens the kernels of a network that `select` filled, so that a training turns them faster.

    A kernel that a BatchNorm follows has no scale of its own: a step of SGD turns it by its rate over the square of
    the kernel's length (van Laarhoven 2017, "L2 regularization versus batch and weight normalization"). Sums over
    fewer channels than the source has make the transferred ones long. Those inside a block get 0.4 times the root mean
    square of a fresh network's, which changes no output. Those that write to the residual stream are halved. What goes
    through several projections shrinks with each of them, so that the blocks behind weigh more in the stream than in
    the source: there the function changes, and it is trained faster still (docs/transfer.md).

    Args:
        model: changed in place; its BatchNorm statistics are left to be estimated anew.
        fresh: the network as it was before the transfer, on the same device.

    Raises:
        UsageError: another network than the one that `select` fills, or two of different depths.

    >>> import netslim
    >>> from netslim.transfers import shorten_
    >>> source = netslim.load_source("torchvision", "resnet18", pretrained=False)
    >>> fresh = netslim.create_model("resnet", depth=11, num_classes=10)
    >>> model, _ = netslim.transfer(source, fresh)
    >>> shorten_(model, fresh)
    >>> lengths = [network.layer1[0].conv2.weight.detach().square().mean().sqrt() for network in (model, fresh)]
    >>> round(float(lengths[0] / lengths[1]), 3)
    0.4
    """
    if getattr(getattr(model, "arch", None), "name", None) != "resnet":
        raise UsageError(f"{type(model).__name__} is not the pre-activation ResNet that strategy 'select' fills")
    new = dict(fresh.named_modules())
    if new.keys() != dict(model.named_modules()).keys():
        raise UsageError("the fresh network has other layers: give the one that the weights were transferred into")
    with torch.no_grad():
        for name, module in model.named_modules():
            if not isinstance(module, nn.Conv2d):
                continue
            inside = role_of(f"{name}.weight") in INNER
            module.weight.mul_(INSIDE * _length(new[name]) / _length(module) if inside else WRITTEN)


def _length(module: nn.Module) -> Tensor:
    """Root mean square of a layer's weights."""
    return cast(Tensor, module.weight).square().mean().clamp_min(1e-12).sqrt()
