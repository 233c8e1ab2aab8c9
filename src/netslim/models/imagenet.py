"""torchvision's and timm's classifiers as prunable networks: the library's own network, keys and class included.

`torchvision/NAME` and `timm/NAME` are architectures for every classifier of the two libraries that has BatchNorm.
ResNets declare their channel groups; those of the others are derived from a run on shapes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, cast

from torch import Tensor, nn

from netslim.core.errors import UsageError, unknown_name
from netslim.core.protocols import ArchSpec, ChannelGroup, Consumer, PrunableModel
from netslim.core.torch_internals import become_
from netslim.models.imagenet_names import check_classifier, resnets
from netslim.models.imagenet_stems import (
    STEMS,
    adapt_first_,
    adapt_stem_,
    blocks_of,
    can_do_without_branch,
    convolutions,
    drop_branch_,
)
from netslim.models.registry import LIBRARIES

_SLOW_TO_DRAW = ("googlenet", "inception_v3")  # their own start, truncated normals, takes half a minute and a warning


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


class LibraryNetwork(PrunableModel):
    """What any other classifier of a library gets to become an architecture; it declares no channel groups.

    In train mode the outputs of auxiliary heads (googlenet, inception_v3) are left out.
    """

    @property
    def cfg(self) -> list[int]:
        """The widths of the BatchNorm layers, in network order."""
        return [module.num_features for module in self.modules() if isinstance(module, nn.BatchNorm2d)]

    def channel_groups(self) -> list[ChannelGroup]:
        """None: they are derived from a run."""
        return []

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) -> logits (N, num_classes)."""
        found = super().forward(x)
        logits: Tensor = found[0] if isinstance(found, tuple) else found
        return logits


@LIBRARIES.register("torchvision")
def torchvision_network(model: str) -> Callable[..., PrunableModel]:
    """The function that builds torchvision's classifier called `model`. Raises UsageError if there is none."""
    check_classifier("torchvision", model)
    return functools.partial(library_network, "torchvision", model, functools.partial(from_torchvision, model))


@LIBRARIES.register("timm")
def timm_network(model: str) -> Callable[..., PrunableModel]:
    """The function that builds timm's classifier called `model`. Raises UsageError if there is none."""
    name, dot, tag = model.partition(".")
    if dot:
        raise UsageError(f"timm/{model}: the tag '{tag}' names weights, not a network; type timm/{name}")
    check_classifier("timm", model)
    return functools.partial(library_network, "timm", model, functools.partial(_from_timm, model))


def library_network(
    library: str,
    model: str,
    construct: Callable[[int, int], nn.Module],
    /,
    num_classes: int = 1000,
    in_channels: int = 3,
    stem: str = "imagenet",
) -> PrunableModel:
    """A library's classifier, randomly initialised and prunable.

    Args:
        library: "torchvision" or "timm".
        model: the library's name of it.
        construct: builds the library's network from numbers of classes and input channels.
        num_classes: size of the output.
        in_channels: 1 (grey), 3 (colour) or any other number.
        stem: "imagenet" (the library's) or "cifar" (full resolution up to the first stage, for small images).

    Shape: (N, in_channels, H, W) -> (N, num_classes).

    Raises:
        UsageError: no such stem, no classes or no input channels, or a network without BatchNorm.
    """
    if min(num_classes, in_channels) < 1:
        raise UsageError(f"num_classes {num_classes} and in_channels {in_channels}: both are at least 1")
    if stem not in STEMS:
        raise unknown_name("stem", str(stem), STEMS)
    network: Any = construct(num_classes, in_channels)
    if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        raise UsageError(
            f"{library} model '{model}' has no BatchNorm, whose scales say which channels can go; prune such a network "
            f"from Python with another criterion (netslim.plan(model, example, percent=0.5, criterion='l1_norm'))"
        )
    resnet = model in resnets(library)
    (adapt_stem_ if resnet else adapt_first_)(network, in_channels, stem)
    become_(network, _prunable_class(LibraryResNet if resnet else LibraryNetwork, network.__class__))
    arguments = {"num_classes": num_classes, "in_channels": in_channels, "stem": stem}
    network.arch = ArchSpec(name=f"{library}/{model}", arguments=arguments)
    return cast(PrunableModel, network)


@functools.cache
def _prunable_class(kind: type[PrunableModel], base: type[nn.Module]) -> type[nn.Module]:
    return type(f"Prunable{base.__name__}", (kind, base), {})


def from_torchvision(model: str, num_classes: int = 1000, _: int = 3) -> nn.Module:
    """torchvision's own network, randomly initialised."""
    from torchvision import models

    options = {"init_weights": False} if model in _SLOW_TO_DRAW else {}
    network: nn.Module = models.get_model(model, weights=None, num_classes=num_classes, **options)  # type: ignore[attr-defined]
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
