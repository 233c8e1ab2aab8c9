"""New networks, from the settings that name an architecture."""

from typing import Any

from netslim.core.errors import ArgumentError
from netslim.core.protocols import PrunableModel
from netslim.models import create_model


def is_library(arch: str) -> bool:
    """Whether an architecture is a network of torchvision or timm: those have a stem to choose, and no depth."""
    return "/" in arch


def fresh_model(arch: str, depth: int | None, stem: str | None, **shape: int) -> PrunableModel:
    """A new network from settings; `shape` is `num_classes` and `in_channels`, as far as they are known.

    Without a depth it is the family's own default (164 for `resnet`, 19 for `vgg`, 40 for `densenet`).

    Raises:
        UsageError: an unknown architecture or stem, an impossible depth, or a setting that the architecture lacks.
    """
    arguments: dict[str, Any] = {}
    if not is_library(arch):
        if stem is not None:
            raise ArgumentError("stem", stem, "only torchvision/NAME and timm/NAME have one; leave `stem` out")
        if depth is not None:
            arguments["depth"] = depth
    elif depth is not None:
        raise ArgumentError("depth", depth, f"{arch} has its depth in its name; leave `depth` out")
    elif stem is not None:
        arguments["stem"] = stem
    return create_model(arch, **arguments, **shape)
