"""Networks of the user's own: whatever a function or class in the user's code gives, as it is.

They are ordinary modules, of any class. How one is built again stands on it as an attribute, which copies keep.
"""

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from netslim.core.errors import ArgumentError
from netslim.core.networks.copies import copied
from netslim.core.plugins.references import UserObject
from netslim.core.protocols import ArchSpec, PrunableModel
from netslim.core.schemas import Architecture, as_model

_ATTRIBUTE = "netslim_arch"  # a name that no network has for something else


def own_network(own: UserObject, arguments: Mapping[str, Any], offered: Mapping[str, Any] | None = None) -> nn.Module:
    """The network that the user's code gives.

    Args:
        own: a function that returns it, its class, or the network itself.
        arguments: what the user gives to the function.
        offered: what it gets besides, if it has parameters for it (`num_classes`, `in_channels`).

    Raises:
        ArgumentError: it gives something else, or takes arguments that a file can't record.
        UserCodeError: the user's code raises something.
    """
    is_network = isinstance(own.value, nn.Module)
    if is_network and arguments:
        raise ArgumentError("arch_args", [*arguments], f"{own.reference} is a network already: leave them out")
    given = {} if is_network else {**own.taken(offered or {}), **arguments}
    try:
        as_model(Architecture, {"name": own.reference, "arguments": given})
    except ValueError as error:
        said = ", ".join(f"{name}={value}" for name, value in given.items())
        wanted = "numbers, texts, true, false, null, and lists and dicts of them"
        raise ArgumentError("arch_args", said, f"a file records {wanted} ({error})") from error
    network = own.value if is_network else _called(own, given)
    if not isinstance(network, nn.Module):
        raise own.wrong(network, "a network (torch.nn.Module)")
    if any(is_lazy(parameter) for parameter in network.parameters()):
        raise ArgumentError(own.field, own.reference, "it has lazy layers: give them their in_channels or in_features")
    network = copied(network)  # the user's code may give the same one when it is asked again
    setattr(network, _ATTRIBUTE, ArchSpec(name=own.reference, arguments=given, sha256=own.sha256))
    return network


def _called(own: UserObject, given: Mapping[str, Any]) -> Any:
    if not callable(own.value):
        raise own.wrong(own.value, "a network (torch.nn.Module), or a function or class that makes one")
    own.check_arguments("arch_args", given)
    return own.call(**given)


def arch_of(model: nn.Module) -> ArchSpec | None:
    """How a network is built again, or None if it does not say."""
    own = getattr(model, _ATTRIBUTE, None)
    if isinstance(own, ArchSpec):
        return own
    return getattr(model, "arch", None) if isinstance(model, PrunableModel) else None
