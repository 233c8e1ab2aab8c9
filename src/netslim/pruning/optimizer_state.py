"""What an optimizer remembers of each parameter, cut as the parameters are."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.protocols import PrunePlan
from netslim.pruning.cut_check import cut
from netslim.pruning.resolve_plan import resolve


def carried(momentum: Mapping[str, Tensor], model: nn.Module, plan: PrunePlan) -> dict[str, Tensor]:
    """The momentum of what `plan` leaves of a network.

    The plan is applied to a copy of the network whose parameters are the momentum: whatever surgery does to a weight,
    it does to the weight's momentum.

    Args:
        momentum: by parameter name, of its parameter's shape; parameters may be missing.
        model: the network before pruning, left unchanged.
        plan: which channels stay.

    Returns:
        By parameter name of `apply(model, plan)`, of the shape that the parameter has there.

    Raises:
        UsageError: the plan is for another network, or a name or a shape is not the network's.
    """
    bearer = copy.deepcopy(model)
    parameters = dict(bearer.named_parameters())
    for name, buffer in momentum.items():
        if name not in parameters or parameters[name].shape != buffer.shape:
            found = tuple(parameters[name].shape) if name in parameters else "no such parameter"
            raise UsageError(f"the momentum of {name} has shape {tuple(buffer.shape)}, the network {found}")
        with torch.no_grad():
            parameters[name].copy_(buffer)
    small = cut(bearer, resolve(model, plan))
    return {name: part.detach() for name, part in small.named_parameters() if name in momentum}
