"""Scales of a transferred network, brought to the source's by a look at the target's images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from netslim.transfers.strategy import Moments


def match_moments_(
    model: nn.Module, moments: Mapping[str, Moments], identities: Sequence[str], batches: Iterable[Tensor]
) -> None:
    """Scales convolutions so that their outputs have the spread that they have in the source.

    In one pass in train mode, every output is shifted and scaled to its moments where it arises, so that what follows
    sees what it would see in the source; then the scales go into the kernels. The shifts can't (there are no biases);
    they go, summed along the stream, into the BatchNorms in `identities`, which hand on the stream as it is in the
    source.

    Args:
        model: changed in place; its running statistics are left to be estimated anew.
        moments: convolution -> mean and standard deviation of its output in the source, per channel.
        identities: BatchNorms of the stream.
        batches: normalised images (N, C, H, W) on the model's device.
    """
    device = next(model.parameters()).device
    moments = {name: Moments(mean=m.mean.to(device), std=m.std.to(device)) for name, m in moments.items()}
    watched = {name: _Statistics() for name in (*moments, *identities)}
    modules = dict(model.named_modules())
    hooks = []
    for name, wanted in moments.items():
        hooks.append(modules[name].register_forward_hook(partial(_bring_to, wanted, watched[name])))
    for name in identities:
        hooks.append(modules[name].register_forward_hook(partial(_pass_on, watched[name])))
    was = model.training
    try:
        model.train()
        with torch.no_grad():
            for images in batches:
                model(images)
    finally:
        for hook in hooks:
            hook.remove()
        model.train(was)
    with torch.no_grad():
        for name, wanted in moments.items():
            conv = cast(nn.Conv2d, modules[name])
            conv.weight.mul_((wanted.std / watched[name].std.clamp_min(1e-8))[:, None, None, None])
        for name in identities:
            norm = cast(nn.BatchNorm2d, modules[name])
            norm.weight.copy_(watched[name].std)
            norm.bias.copy_(watched[name].mean)


class _Statistics:
    """Running averages of a mean and a variance per channel."""

    def __init__(self) -> None:
        self.batches = 0
        self.mean = self.var = torch.zeros(())

    def add(self, values: Tensor) -> tuple[Tensor, Tensor]:
        var, mean = torch.var_mean(values, dim=(0, 2, 3))
        self.batches += 1
        self.mean = self.mean + (mean - self.mean) / self.batches
        self.var = self.var + (var - self.var) / self.batches
        return mean, var

    @property
    def std(self) -> Tensor:
        return self.var.sqrt()


def _bring_to(wanted: Moments, statistics: _Statistics, module: nn.Module, args: Any, output: Tensor) -> Tensor:  # noqa: ARG001
    mean, var = statistics.add(output)
    scale = wanted.std / var.sqrt().clamp_min(1e-8)
    return output * scale[:, None, None] + (wanted.mean - mean * scale)[:, None, None]


def _pass_on(statistics: _Statistics, module: nn.Module, args: tuple[Tensor], output: Tensor) -> Tensor:  # noqa: ARG001
    statistics.add(args[0])
    return args[0].clone()  # the next activation works in place, and the stream must stay as it is
