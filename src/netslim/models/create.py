"""Names of architectures and libraries -> their networks, which are also recognised in bare weights."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from netslim.core.errors import UsageError, nearest, unknown_name
from netslim.core.protocols import ArchSpec, PrunableModel
from netslim.models.imagenet import check_network, library_network
from netslim.models.registry import ARCHITECTURES, LIBRARIES, library_networks


def create_model(name: str, **arguments: Any) -> PrunableModel:
    """Builds a network by name.

    Args:
        name: a registered architecture (`resnet`), or a library and its name of a network (`torchvision/resnet50`).
        arguments: the architecture's own, e.g. `depth=164, num_classes=10, in_channels=3, cfg=None` for `resnet`, and
            `num_classes=1000, in_channels=3, stem="imagenet"` for a library's.

    Raises:
        UsageError: unknown name (the nearest are listed), or an argument that the architecture does not take.

    >>> import netslim
    >>> netslim.create_model("resnet", depth=11, num_classes=10).cfg
    [16, 16, 16, 64, 32, 32, 128, 64, 64, 256]
    >>> type(netslim.create_model("torchvision/resnet18", num_classes=10, stem="cifar")).__name__
    'PrunableResNet'
    """
    if not isinstance(name, str):
        raise UsageError(f"a network's name of type {type(name).__name__}: give one like 'resnet' or 'timm/resnet18'")
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
    check_network(library, model)
    return functools.partial(library_network, library, model)


def _unknown_architecture(name: str) -> UsageError:
    """The error with the nearest names: also of the libraries' networks, which are architectures as `timm/NAME`."""
    of_libraries = {library: LIBRARIES.get(library).names() for library in reversed(LIBRARIES.names())}
    same = [f"{library}/{name}" for library, names in of_libraries.items() if name in names]
    short = {model: f"{library}/{model}" for library in LIBRARIES.names() for model in of_libraries[library]}
    short |= {family: family for family in ARCHITECTURES.names()}
    longer = [short[model] for model in sorted(short, key=len) if model.startswith(name.lower())]
    near = same or longer[:3] or nearest(name, ARCHITECTURES.names())
    return unknown_name("architecture", name, [*ARCHITECTURES.names(), *library_networks()], near)


def build(arch: ArchSpec) -> PrunableModel:
    """The network that `arch` describes."""
    return create_model(arch.name, **arch.arguments)


def recognise(state_dict: Mapping[str, Tensor]) -> ArchSpec | None:
    """The architecture of bare weights (a file of the original scripts names none), or None."""
    readers = [ARCHITECTURES.get(name).recognise for name in ARCHITECTURES.names()]
    found = (reader(state_dict) for reader in readers if reader is not None)
    return next((arch for arch in found if arch is not None), None)
