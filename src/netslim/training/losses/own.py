"""A loss of the user's own."""

import inspect

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
    return found  # type: ignore[no-any-return]
