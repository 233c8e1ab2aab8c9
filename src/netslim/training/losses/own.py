"""A loss of the user's own."""

import inspect

from torch import nn

from netslim.core.errors import ArgumentError
from netslim.core.plugins.references import UserObject
from netslim.training.losses.loss import Loss


def own_loss(own: UserObject) -> Loss:
    """A function (outputs, labels) -> scalar, a module, or a class of modules, which is made without arguments.

    Raises:
        ArgumentError: it is something else.
        UserCodeError: the class raises something.
    """
    found = own.call() if inspect.isclass(own.value) else own.value
    if not callable(found):
        raise own.wrong(found, "a function (outputs, labels) -> scalar")
    if isinstance(found, nn.Module) and any(parameter.requires_grad for parameter in found.parameters()):
        raise ArgumentError(own.field, own.reference, "nothing trains its parameters: requires_grad_(False), or none")
    return found  # type: ignore[no-any-return]
