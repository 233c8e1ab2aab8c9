"""Names of architectures -> the functions that build them, and that recognise them in bare weights."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from netslim.core.errors import UsageError
from netslim.core.protocols import ArchSpec, PrunableModel
from netslim.core.registry import Registry

ARCHITECTURES: Registry[Callable[..., PrunableModel]] = Registry("architecture", "netslim.models")
LIBRARIES: Registry[Callable[[str], Callable[..., PrunableModel]]] = Registry("library", "netslim.models")
RECOGNISERS: Registry[Callable[[Mapping[str, Tensor]], ArchSpec | None]] = Registry("architecture", "netslim.models")


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
    return LIBRARIES.get(library)(model) if slash else ARCHITECTURES.get(name)


def build(arch: ArchSpec) -> PrunableModel:
    """The network that `arch` describes."""
    return create_model(arch.name, **arch.arguments)


def recognise(state_dict: Mapping[str, Tensor]) -> ArchSpec | None:
    """The architecture of bare weights (a file of the original scripts names none), or None."""
    found = (RECOGNISERS.get(name)(state_dict) for name in RECOGNISERS.names())
    return next((arch for arch in found if arch is not None), None)
