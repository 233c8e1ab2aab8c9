"""The classifiers of libraries as prunable networks: the library's own network, keys and class included.

`torchvision/NAME` and `timm/NAME` are architectures for every classifier of the two libraries that has BatchNorm.
ResNets declare their channel groups; those of the others are derived from a run on shapes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, cast

from torch import Tensor, nn

from netslim.core.errors import UsageError, unknown_name
from netslim.core.networks.torch_internals import become_
from netslim.core.protocols import ArchSpec, ChannelGroup, Consumer, PrunableModel
from netslim.models.imagenet_stems import (
    STEMS,
    adapt_first_,
    adapt_stem_,
    blocks_of,
    can_do_without_branch,
    convolutions,
    drop_branch_,
)
from netslim.models.library_names import check_classifier, without_tag
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


def check_network(library: str, model: str) -> None:
    """Raises UsageError, with the nearest names, unless the library has a classifier called `model`."""
    name = without_tag(library, model)
    if name != model:
        tag = model.removeprefix(f"{name}.")
        raise UsageError(f"{library}/{model}: the tag '{tag}' names weights, not a network; type {library}/{name}")
    check_classifier(library, model)


def library_network(
    library: str,
    model: str,
    /,
    num_classes: int = 1000,
    in_channels: int = 3,
    stem: str = "imagenet",
) -> PrunableModel:
    """A library's classifier, randomly initialised and prunable.

    Args:
        library: a registered one.
        model: the library's name of it.
        num_classes: size of the output.
        in_channels: 1 (grey), 3 (colour) or any other number.
        stem: "imagenet" (the library's) or "cifar" (full resolution up to the first stage, for small images).

    Shape: (N, in_channels, H, W) -> (N, num_classes).

    Raises:
        UsageError: no such stem, no classes or no input channels.
    """
    if min(num_classes, in_channels) < 1:
        raise UsageError(f"num_classes {num_classes} and in_channels {in_channels}: both are at least 1")
    if stem not in STEMS:
        raise unknown_name("stem", str(stem), STEMS)
    record = LIBRARIES.get(library)
    network: Any = record.build(model, num_classes, in_channels)
    resnet = model in record.resnets()
    (adapt_stem_ if resnet else adapt_first_)(network, in_channels, stem)
    become_(network, _prunable_class(LibraryResNet if resnet else LibraryNetwork, network.__class__))
    arguments = {"num_classes": num_classes, "in_channels": in_channels, "stem": stem}
    network.arch = ArchSpec(name=f"{library}/{model}", arguments=arguments)
    return cast(PrunableModel, network)


@functools.cache
def _prunable_class(kind: type[PrunableModel], base: type[nn.Module]) -> type[nn.Module]:
    return type(f"Prunable{base.__name__}", (kind, base), {})


def _widths(block: nn.Module) -> Iterator[tuple[str, str, str]]:
    """(convolution, BatchNorm of its output, next convolution) for each width inside a block that can be cut."""
    after = hasattr(block, "bn1")  # else before: norm1 is the input's, norm2 is of what conv1 gives
    for number, (conv, following) in enumerate(pairwise(convolutions(block)), 1):
        if block.get_submodule(conv).groups == block.get_submodule(following).groups == 1:
            yield conv, f"bn{number}" if after else f"norm{number + 1}", following
