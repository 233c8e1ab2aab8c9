"""Names of architectures -> the functions that build them, and that recognise them in bare weights."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from netslim.core.errors import UsageError
from netslim.core.protocols import ArchSpec, PrunableModel
from netslim.core.registry import Registry

ARCHITECTURES: Registry[Callable[..., PrunableModel]] = Registry("architecture", "netslim.models")
RECOGNISERS: Registry[Callable[[Mapping[str, Tensor]], ArchSpec | None]] = Registry("architecture", "netslim.models")


def create_model(name: str, **arguments: Any) -> PrunableModel:
    """Builds a network by name.

    Args:
        name: a registered architecture (`resnet`).
        arguments: the architecture's own, e.g. `depth=164, num_classes=10, in_channels=3, cfg=None` for `resnet`.

    Raises:
        UsageError: unknown name (the nearest are listed), or an argument that the architecture does not take.
    """
    build = ARCHITECTURES.get(name)
    try:
        return build(**arguments)
    except TypeError as error:
        raise UsageError(f"architecture '{name}': {error}") from error


def build(arch: ArchSpec) -> PrunableModel:
    """The network that `arch` describes."""
    return create_model(arch.name, **arch.arguments)


def recognise(state_dict: Mapping[str, Tensor]) -> ArchSpec | None:
    """The architecture of bare weights (a file of the original scripts names none), or None."""
    found = (RECOGNISERS.get(name)(state_dict) for name in RECOGNISERS.names())
    return next((arch for arch in found if arch is not None), None)
