"""What the families of the original network-slimming code share: depths, widths, initialisation, selections."""

import math
from collections.abc import Sequence
from typing import Any

from torch import nn

from netslim.core.errors import ArgumentError, UsageError
from netslim.core.protocols import ArchSpec, ChannelGroup, Consumer

BATCHNORM_SCALE = 0.5  # the original's start, so that the L1 penalty has a shorter way to go


def check_shape(num_classes: int, in_channels: int) -> None:
    """Raises UsageError if there are no classes or no input channels."""
    if min(num_classes, in_channels) < 1:
        raise UsageError(f"num_classes {num_classes} and in_channels {in_channels}: both are at least 1")


def layers_per_part(depth: int, step: int, rest: int, most: int, what: str) -> int:
    """n of a depth of `step` x n + `rest`.

    Args:
        depth: what the user asked for.
        step: layers that one more of everything adds; at least one.
        rest: layers that are always there.
        most: the largest depth; a mistyped number must not fill the memory.
        what: name of the family.

    Raises:
        UsageError: no such depth; it names the nearest that are.
    """
    least = step + rest
    if depth > most:
        raise ArgumentError("depth", depth, f"at most {most}")
    if depth < least or (depth - rest) % step:
        below = max(least, depth - (depth - rest) % step)
        near = f"{below}" if depth < least else f"{below} or {below + step}"
        raise ArgumentError("depth", depth, f"the depth of a {what} is {step}n+{rest}; the nearest is {near}")
    return (depth - rest) // step


def check_cfg(cfg: Sequence[int | str], dense: Sequence[int | str], what: str) -> None:
    """Raises UsageError unless `cfg` has the layout of `dense`, the unpruned network's, and no larger width."""
    if len(cfg) != len(dense):
        raise UsageError(f"cfg has {len(cfg)} {'entries' if 'M' in dense else 'widths'}; a {what} has {len(dense)}")
    for position, (given, full) in enumerate(zip(cfg, dense, strict=True)):
        if isinstance(full, str):
            if given != full:
                raise UsageError(f"cfg[{position}] is {given}; a {what} has {full} there")
        elif not isinstance(given, int) or not 1 <= given <= full:
            raise UsageError(f"cfg[{position}] is {given}; a {what} allows 1 to {full} there")


def arch_spec(name: str, depth: int, shape: tuple[int, int], cfg: list[Any], dense: list[Any]) -> ArchSpec:
    """How the network is built that has this depth, these (classes, input channels) and widths."""
    arguments: dict[str, Any] = {"depth": depth, "num_classes": shape[0], "in_channels": shape[1]}
    if cfg != dense:
        arguments["cfg"] = cfg
    return ArchSpec(name=name, arguments=arguments)


def initialise_(network: nn.Module) -> None:
    """The original's start: normal convolutions with the variance of He et al. 2015 (fan-out), small scales."""
    if any(parameter.is_meta for parameter in network.parameters()):
        return  # there is nothing to fill, and torch would load its compiler for that: seconds
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
            nn.init.normal_(module.weight, 0, math.sqrt(2 / fan_out))
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, BATCHNORM_SCALE)


def selection_group(bn: str, select: str, following: str, branch: str | None = None) -> ChannelGroup:
    """The channels of a stream that one layer sees: the stream keeps its width."""
    return ChannelGroup(name=bn, scales=(bn,), consumers=(Consumer(module=following),), selection=select, branch=branch)
