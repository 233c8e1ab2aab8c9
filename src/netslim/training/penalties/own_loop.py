"""Building a penalty for other training loops than netslim's."""

import dataclasses
import math
from typing import Any

import torch
from torch import nn

from netslim.core.errors import UsageError, unknown_name
from netslim.core.networks.scale_norms import scale_norms
from netslim.core.networks.wrappers import unwrapped
from netslim.training.optimizer import has_step_sizes
from netslim.training.penalties.penalty import PENALTIES, Penalty, PenaltyOptions, PenaltySpec
from netslim.training.penalties.scale_penalty import ScalePenalty
from netslim.training.penalties.strength import PENALTY_SCHEDULES


def scale_penalty(
    model: nn.Module,
    name: str = "l1",
    *,
    strength: float,
    optimizer: torch.optim.Optimizer | None = None,
    **options: Any,
) -> ScalePenalty:
    """A penalty on a network's scales; see `netslim.penalty`, which this is but for weights that have to be worked out.

    Raises:
        UsageError: an unknown penalty or option, a strength below 0, or an optimizer that has none of the scales or
            whose step sizes are not known.
    """
    if not (math.isfinite(strength) and strength >= 0):
        raise UsageError(f"strength {strength}: a penalty has a finite one of 0 or more")
    bare, spec = unwrapped(model), PENALTIES.get(name)
    built = spec.build(bare, strength, _checked(options, spec, bare))
    if optimizer is not None:
        _check(optimizer, built)
    return ScalePenalty(built, scale_norms(bare), optimizer)


def _checked(options: dict[str, Any], spec: PenaltySpec, model: nn.Module) -> PenaltyOptions:
    own = {option.name: options.pop(option.name) for option in spec.options if option.name in options}
    shared = [field.name for field in dataclasses.fields(PenaltyOptions) if field.name != "own"]
    for option in options:
        if option not in shared:
            raise unknown_name("penalty option", option, [*shared, *(each.name for each in spec.options)])
    if options.get("schedule", "constant") not in PENALTY_SCHEDULES:
        raise unknown_name("penalty schedule", options["schedule"], PENALTY_SCHEDULES)
    norms = scale_norms(model)
    for layer in options.get("weights") or ():
        if layer not in norms:
            raise UsageError(f"weights['{layer}']: the network has no BatchNorm with scales of this name")
    return PenaltyOptions(**options, own=own)


def _check(optimizer: torch.optim.Optimizer, built: Penalty) -> None:
    if built.shrinks and not has_step_sizes(optimizer):
        raise UsageError(
            f"the sizes of {type(optimizer).__name__}'s steps are not known (SGD, Adam and AdamW of torch have them): "
            f"leave optimizer= out and give after_step_(step_size)"
        )
    parameters = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    if built.scales and not any(id(scale) in parameters for scale in built.scales):
        raise UsageError("the optimizer has none of the network's scales: give the one that trains this network")
