"""How long the kernels of a transferred network are when its training starts."""

from __future__ import annotations

import torch
from torch import nn

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

    >>> import netslim
    >>> from netslim.transfers import shorten_
    >>> source = netslim.load_source("torchvision", "resnet18", pretrained=False)
    >>> fresh = netslim.create_model("resnet", depth=11, num_classes=10)
    >>> model, _ = netslim.transfer(source, fresh)
    >>> shorten_(model, fresh)
    >>> lengths = [network.layer1[0].conv2.weight.square().mean().sqrt() for network in (model, fresh)]
    >>> round(float(lengths[0] / lengths[1]), 3)
    0.4
    """
    kernels = {name: module.weight for name, module in fresh.named_modules() if isinstance(module, nn.Conv2d)}
    with torch.no_grad():
        for name, new in kernels.items():
            kernel = model.get_submodule(name).weight
            factor = WRITTEN
            if role_of(f"{name}.weight") in INNER:
                factor = INSIDE * (new.square().mean() / kernel.square().mean().clamp_min(1e-12)).sqrt()
            kernel.mul_(factor)
