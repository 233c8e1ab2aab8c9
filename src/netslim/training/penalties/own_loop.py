"""Building a penalty for other training loops than netslim's."""

import dataclasses
import math
import operator
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.errors import NetslimWarning, UsageError, first_of, unknown_name
from netslim.core.networks.scale_norms import ScaleNorm, computed_scales, scale_norms
from netslim.core.networks.wrappers import check_shapes_known, unwrapped
from netslim.core.numbers import is_number
from netslim.core.plugins.declarations import Option
from netslim.training.optimizer import has_step_sizes
from netslim.training.penalties.penalty import PENALTIES, Penalty, PenaltyOptions
from netslim.training.penalties.scale_penalty import ScalePenalty
from netslim.training.penalties.strength import PENALTY_SCHEDULES

_SHOWN = 5
_SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


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
    bare, given = unwrapped(model), check_settings(name, strength, options)
    norms = _norms(bare)
    _check_weights(given.weights, norms)
    built = PENALTIES.get(name).build(bare, strength, given)
    if optimizer is not None:
        _check(optimizer, built)
    return ScalePenalty(built, norms, optimizer)


def check_settings(name: str, strength: float, options: Mapping[str, Any]) -> PenaltyOptions:
    """The options of a penalty. Raises UsageError for settings that no network could have."""
    if not is_number(strength) or not (math.isfinite(strength) and strength >= 0):
        raise UsageError(f"strength {strength!r}: a penalty has a finite one of 0 or more, like 1e-4")
    spec = PENALTIES.get(name)
    shared = [field.name for field in dataclasses.fields(PenaltyOptions) if field.name != "own"]
    own = [option.name for option in spec.options]
    for option in options:
        if option not in (*shared, *own):
            raise unknown_name("penalty option", option, [*shared, *own])
    if options.get("schedule", "constant") not in PENALTY_SCHEDULES:
        raise unknown_name("penalty schedule", options["schedule"], PENALTY_SCHEDULES)
    warmup = options.get("warmup", 0.0)
    if not is_number(warmup) or not 0 <= warmup < math.inf:
        raise UsageError(f"warmup {warmup!r}: epochs in which the strength rises; give 0 or more")
    for declared in spec.options:
        _check_option(declared, options.get(declared.name, declared.default))
    given = {option: options[option] for option in shared if option in options}
    return PenaltyOptions(**given, own={option: options[option] for option in own if option in options})


def _check_option(option: Option, value: object) -> None:
    """Raises UsageError for a value that is of another type than the default, or out of bounds."""
    bounds = option.limits
    if isinstance(option.default, bool | str):
        allowed = isinstance(value, type(option.default))
    else:
        allowed = isinstance(value, float | int) and all(
            getattr(operator, name)(value, bound) for name, bound in bounds.items()
        )
    if not allowed:
        limits = "".join(f" {_SIGNS[name]} {bound:g}" for name, bound in bounds.items())
        raise UsageError(
            f"{option.name} {value!r}: {option.help}; give one like {option.default!r}{limits and ',' + limits}"
        )


def _norms(model: nn.Module) -> dict[str, ScaleNorm]:
    """What is penalised. Raises UsageError where there is nothing, warns where nothing of it learns."""
    check_shapes_known(model)
    norms, name = scale_norms(model), type(model).__name__
    if not norms:
        raise UsageError(
            f"{name} has no BatchNorm, InstanceNorm or GroupNorm with scales, and nothing to penalise: leave the "
            f"penalty out, and prune by another criterion, as plan(..., criterion='l2_norm')"
        )
    if computed := computed_scales(model):
        what = (
            f"the scales of {first_of(computed, _SHOWN)} are computed from others, and not penalised: remove what "
            f"computes them (torch.nn.utils.parametrize.remove_parametrizations, torch.nn.utils.prune.remove)"
        )
        warnings.warn(what, NetslimWarning, stacklevel=4)
    if not any(norm.weight.requires_grad for norm in norms.values()):
        what = f"all scales of {name} are frozen (requires_grad is False), so that the penalty changes none of them"
        warnings.warn(what, NetslimWarning, stacklevel=4)
    return norms


def _check_weights(weights: Any, norms: Mapping[str, ScaleNorm]) -> None:
    if weights is None:
        return
    if not isinstance(weights, Mapping):
        raise UsageError(f"weights of type {type(weights).__name__}: give {{name of a BatchNorm: tensor}}, or None")
    for layer, factors in weights.items():
        if layer not in norms:
            raise UsageError(f"weights['{layer}']: the network has no BatchNorm with scales of this name")
        scales = len(norms[layer].weight)
        if not isinstance(factors, Tensor) or factors.shape != (scales,):
            found = f"shape {tuple(factors.shape)}" if isinstance(factors, Tensor) else f"type {type(factors).__name__}"
            raise UsageError(f"weights['{layer}'] are of {found}: give a tensor of its {scales} factors")
        if not bool((factors.isfinite() & (factors >= 0)).all()):
            raise UsageError(f"weights['{layer}'] are not all finite and 0 or more, and scales would grow by others")


def _check(optimizer: Any, built: Penalty) -> None:
    if not isinstance(optimizer, torch.optim.Optimizer):
        what = f"optimizer of type {type(optimizer).__name__}"
        raise UsageError(f"{what}: give the torch.optim.Optimizer that trains this network, or None")
    if built.shrinks and not has_step_sizes(optimizer):
        raise UsageError(
            f"the sizes of {type(optimizer).__name__}'s steps are not known (SGD, Adam and AdamW of torch have them): "
            f"leave optimizer= out and give after_step_(step_size)"
        )
    parameters = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    if built.scales and not any(id(scale) in parameters for scale in built.scales):
        raise UsageError("the optimizer has none of the network's scales: give the one that trains this network")
