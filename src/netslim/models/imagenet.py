"""torchvision's and timm's ResNets as prunable networks: the library's own network, keys, forward and class included.

`torchvision/NAME` and `timm/NAME` are architectures for every ResNet of the two libraries that has BatchNorm.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, cast

from torch import nn

from netslim.core.errors import UsageError, unknown_name
from netslim.core.protocols import ArchSpec, ChannelGroup, Consumer, PrunableModel
from netslim.models.imagenet_names import check_resnet
from netslim.models.imagenet_stems import (
    STEMS,
    adapt_stem_,
    blocks_of,
    can_do_without_branch,
    convolutions,
    drop_branch_,
)
from netslim.models.registry import LIBRARIES


class LibraryResNet(PrunableModel):
    """What a library's ResNet gets to become prunable; its class is derived from this one and its own.

    The channel groups are the inner widths of the residual blocks. A width beside a grouped convolution (ResNeXt) is
    none: its channels can't go one by one.
    """

    @property
    def cfg(self) -> list[int]:
        """The width of each channel group, read off the network as it is now; 0 for those of blocks without branch."""
        groups = {group.name: group for group in self.channel_groups()}
        names = [part.name for part in self.plan.groups] if self.plan and not self.plan.traced else groups
        scales = [self.get_submodule(groups[name].scales[0]) if name in groups else None for name in names]
        return [cast(nn.BatchNorm2d, scale).num_features if scale else 0 for scale in scales]

    def channel_groups(self) -> list[ChannelGroup]:
        """Per block that has a branch, the channels after each of its convolutions but the last."""
        groups = []
        for name, block in blocks_of(self):
            for conv, norm, following in _widths(block):
                groups.append(
                    ChannelGroup(
                        name=f"{name}.{norm}",
                        scales=(f"{name}.{norm}",),
                        producers=(f"{name}.{conv}", f"{name}.{norm}"),
                        consumers=(Consumer(module=f"{name}.{following}"),),
                        branch=name if can_do_without_branch(block) else None,
                    )
                )
        return groups

    def drop_branch_(self, name: str) -> None:
        """Makes the block `name` its shortcut, plus what its last BatchNorm makes of zeros."""
        drop_branch_(self.get_submodule(name))


@LIBRARIES.register("torchvision")
def torchvision_resnet(model: str) -> Callable[..., PrunableModel]:
    """The function that builds torchvision's ResNet called `model`. Raises UsageError if there is none."""
    check_resnet("torchvision", model, "torchvision/resnet50")
    return functools.partial(library_resnet, f"torchvision/{model}", functools.partial(_from_torchvision, model))


@LIBRARIES.register("timm")
def timm_resnet(model: str) -> Callable[..., PrunableModel]:
    """The function that builds timm's ResNet called `model`. Raises UsageError if there is none."""
    name, dot, tag = model.partition(".")
    if dot:
        raise UsageError(f"timm/{model}: the tag '{tag}' names weights, not a network; type timm/{name}")
    check_resnet("timm", model, "timm/resnet50")
    return functools.partial(library_resnet, f"timm/{model}", functools.partial(_from_timm, model))


def library_resnet(
    name: str,
    construct: Callable[[int, int], nn.Module],
    /,
    num_classes: int = 1000,
    in_channels: int = 3,
    stem: str = "imagenet",
) -> PrunableModel:
    """A library's ResNet, randomly initialised and prunable.

    Args:
        name: the architecture's name ("torchvision/resnet50").
        construct: builds the library's network from numbers of classes and input channels.
        num_classes: size of the output.
        in_channels: 1 (grey), 3 (colour) or any other number.
        stem: "imagenet" (the library's) or "cifar" (full resolution up to the first stage, for small images).

    Shape: (N, in_channels, H, W) -> (N, num_classes).

    Raises:
        UsageError: no such stem, or no classes or no input channels.
    """
    if min(num_classes, in_channels) < 1:
        raise UsageError(f"num_classes {num_classes} and in_channels {in_channels}: both are at least 1")
    if stem not in STEMS:
        raise unknown_name("stem", str(stem), STEMS)
    network: Any = construct(num_classes, in_channels)
    adapt_stem_(network, in_channels, stem)
    network.__class__ = _prunable_class(network.__class__)
    arguments = {"num_classes": num_classes, "in_channels": in_channels, "stem": stem}
    network.arch = ArchSpec(name=name, arguments=arguments)
    return cast(PrunableModel, network)


@functools.cache
def _prunable_class(base: type[nn.Module]) -> type[nn.Module]:
    return type(f"Prunable{base.__name__}", (LibraryResNet, base), {})


def _from_torchvision(model: str, num_classes: int, _: int) -> nn.Module:
    from torchvision import models

    network: nn.Module = models.get_model(model, weights=None, num_classes=num_classes)  # type: ignore[attr-defined]
    return network


def _from_timm(model: str, num_classes: int, in_channels: int) -> nn.Module:
    import timm
    from timm.layers.blur_pool import BlurPool2d

    network: nn.Module = timm.create_model(model, pretrained=False, num_classes=num_classes, in_chans=in_channels)
    blurs: list[Any] = [module for module in network.modules() if isinstance(module, BlurPool2d)]
    for blur in blurs:  # one filter for however many channels are left, as timm itself allows
        blur.channels, blur.filt = None, blur.filt[:1].clone()
    return network


def _widths(block: nn.Module) -> Iterator[tuple[str, str, str]]:
    """(convolution, BatchNorm of its output, next convolution) for each width inside a block that can be cut."""
    after = hasattr(block, "bn1")  # else before: norm1 is the input's, norm2 is of what conv1 gives
    for number, (conv, following) in enumerate(pairwise(convolutions(block)), 1):
        if block.get_submodule(conv).groups == block.get_submodule(following).groups == 1:
            yield conv, f"bn{number}" if after else f"norm{number + 1}", following
