"""Names of architectures and libraries -> what builds their networks, and recognises them in bare weights."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from netslim.core.errors import UsageError, nearest, unknown_name
from netslim.core.protocols import ArchSpec, PrunableModel
from netslim.core.registry import Registry


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
    """

    names: Callable[[], list[str]]
    build: LibraryBuilder
    fetch: Callable[[str], tuple[Path, str]]
    resnets: Callable[[], list[str]] = list
    families: tuple[str, ...] = ()
    without_batchnorm: tuple[str, ...] = ()
    tagged: bool = False


ARCHITECTURES: Registry[Architecture] = Registry("architecture", "netslim.models")
LIBRARIES: Registry[Library] = Registry("library", "netslim.models.libraries")


def library_networks() -> list[str]:
    """How the networks of the libraries are called: `timm/NAME`, ..."""
    return [f"{library}/NAME" for library in LIBRARIES.names()]


def create_model(name: str, **arguments: Any) -> PrunableModel:
    """Builds a network by name.

    Args:
        name: a registered architecture (`resnet`), or a library and its name of a network (`torchvision/resnet50`).
        arguments: the architecture's own, e.g. `depth=164, num_classes=10, in_channels=3, cfg=None` for `resnet`, and
            `num_classes=1000, in_channels=3, stem="imagenet"` for a library's.

    Raises:
        UsageError: unknown name (the nearest are listed), or an argument that the architecture does not take.
    """
    build = check_known(name)
    try:
        return build(**arguments)
    except TypeError as error:
        raise UsageError(f"architecture '{name}': {error}") from error


def check_known(name: str) -> Callable[..., PrunableModel]:
    """The function that builds the architecture `name`. Raises UsageError with the nearest names if there is none."""
    library, slash, model = name.partition("/")
    if not slash:
        if name not in ARCHITECTURES.names():
            raise _unknown_architecture(name)
        return ARCHITECTURES.get(name).build
    from netslim.models.imagenet import check_network, library_network  # which look libraries up here

    check_network(library, model)
    return functools.partial(library_network, library, model)


def _unknown_architecture(name: str) -> UsageError:
    """The error with the nearest names: also of the libraries' networks, which are architectures as `timm/NAME`."""
    of_libraries = {library: LIBRARIES.get(library).names() for library in reversed(LIBRARIES.names())}
    same = [f"{library}/{name}" for library, names in of_libraries.items() if name in names]
    short = {model: f"{library}/{model}" for library in LIBRARIES.names() for model in of_libraries[library]}
    short |= {family: family for family in ARCHITECTURES.names()}
    alike = [model for model in sorted(short, key=len) if model.startswith(name.lower())][:3] or nearest(name, short)
    near = same or [short[model] for model in alike]
    return unknown_name("architecture", name, [*ARCHITECTURES.names(), *library_networks()], near)


def build(arch: ArchSpec) -> PrunableModel:
    """The network that `arch` describes."""
    return create_model(arch.name, **arch.arguments)


def recognise(state_dict: Mapping[str, Tensor]) -> ArchSpec | None:
    """The architecture of bare weights (a file of the original scripts names none), or None."""
    readers = [ARCHITECTURES.get(name).recognise for name in ARCHITECTURES.names()]
    found = (reader(state_dict) for reader in readers if reader is not None)
    return next((arch for arch in found if arch is not None), None)
