"""The records of architectures and libraries of networks, and their names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor, nn

from netslim.core.plugins.registry import Registry
from netslim.core.protocols import ArchSpec, Normalization, PrunableModel


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What the file of a network family registers.

    Attributes:
        build: makes a network; takes at least `num_classes` and `in_channels`, and has a default for everything.
        recognise: the architecture of bare weights, pruned or not, or None if it is another family's; None for a family
            that never wrote files without saying so.
        depths: which depths there are, for help; empty for a family without the argument `depth`.
        takes_resnets: whether the weights of a ResNet have a place in it.
    """

    build: Callable[..., PrunableModel]
    recognise: Callable[[Mapping[str, Tensor]], ArchSpec | None] | None = None
    depths: str = ""
    takes_resnets: bool = True


class LibraryBuilder(Protocol):
    """Builds a library's network, randomly initialised."""

    def __call__(self, name: str, num_classes: int | None = None, in_channels: int | None = None) -> nn.Module:
        """The network called `name`; None stands for what its pretrained weights have."""
        ...


@dataclass(frozen=True, kw_only=True)
class Library:
    """What the file of a library of networks registers: `LIBRARY/NAME` is an architecture, and a source of weights.

    Attributes:
        names: of all its classifiers.
        build: makes one of them.
        fetch: the file with a network's pretrained weights, cached or downloaded and verified, and its address. Raises
            UsageError if there are none, CheckpointError if they can't be had.
        resnets: names of the ResNets with BatchNorm: they declare channel groups, and their weights can be mapped.
        families: how the names of these begin, for messages.
        without_batchnorm: how the names of ResNets with another normalisation end, for messages.
        tagged: whether a dot and a tag after a name choose among several files of weights.
        normalization: mean and standard deviation, per channel and of pixels scaled to 0..1, of the images that a
            network's weights were trained on; None where the library does not say.
    """

    names: Callable[[], list[str]]
    build: LibraryBuilder
    fetch: Callable[[str], tuple[Path, str]]
    resnets: Callable[[], list[str]] = list
    families: tuple[str, ...] = ()
    without_batchnorm: tuple[str, ...] = ()
    tagged: bool = False
    normalization: Callable[[str], Normalization | None] = lambda _: None


ARCHITECTURES: Registry[Architecture] = Registry("architecture", "netslim.models")
LIBRARIES: Registry[Library] = Registry("library", "netslim.models.libraries")


def library_networks() -> list[str]:
    """How the networks of the libraries are called: `timm/NAME`, ..."""
    return [f"{library}/NAME" for library in LIBRARIES.names()]
