"""Removing channels: a plan and a network in, a new and smaller network out."""

from dataclasses import replace
from typing import TypeVar, cast

import torch
from torch import nn

from netslim.core.networks.wrappers import plain
from netslim.core.protocols import Cost, PrunePlan, keep_plan_, plan_of
from netslim.cost import count_params, measure
from netslim.dependency.meta import cost_of
from netslim.pruning.cut_check import check_cut, check_fixed, cut
from netslim.pruning.feature_info import update_feature_info_
from netslim.pruning.plan_data import inputs_of
from netslim.pruning.resolve_plan import ResolvedPlan, resolve

M = TypeVar("M", bound=nn.Module)


def apply(model: M, plan: PrunePlan) -> M:
    """The network without the channels that `plan` removes.

    Before it is returned, a copy of `model` with random scales and statistics, its removed channels silenced, is held
    against the same copy cut, in double precision, on random inputs of the example's shape.

    Args:
        model: left unchanged; either the network of the plan or one that was pruned on the way to it.
        plan: which channels stay, relative to the unpruned network.

    Returns:
        A new network of the same class, on the same device, whose attribute `plan` is `plan`; parameters and MACs are
        counted again in it if they are no longer those of a plan that was edited. It is without what was around `model`
        (DataParallel, torch.compile), and weights that were computed are parameters.

    Raises:
        UsageError: the plan is for another network, or was edited into something impossible; or the small network does
            something else than the masked one.

    >>> import torch, netslim
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8),
    ...     torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(288, 10)
    ... )
    >>> _ = model[1].weight.data.copy_(torch.linspace(0.1, 0.8, 8))  # scales, as training with a penalty leaves them
    >>> small = netslim.apply(model, netslim.plan(model, torch.zeros(2, 3, 8, 8), percent=0.4))
    >>> small[0], small[4]
    (Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1)), Linear(in_features=144, out_features=10, bias=True))
    >>> small.plan.kept
    4
    """
    given, model = model, cast(M, plain(model))
    resolved = resolve(model, plan)
    if not resolved.decides:
        check_fixed(given, model, plan)
    check_cut(model, resolved, plan)
    small = cut(model, resolved)
    return _with_plan_(small, resolved, _counted(plan, resolved, model, small))


def rebuild(model: M, plan: PrunePlan) -> M:
    """`apply` for a plan that was carried out before, whose cut is not held against the masked network again."""
    resolved = resolve(model, plan)
    return _with_plan_(cut(model, resolved), resolved, plan)


def _counted(plan: PrunePlan, resolved: ResolvedPlan, model: nn.Module, small: nn.Module) -> PrunePlan:
    """The plan with the cost of both networks, where it says another one: edited, or made for another head."""
    before, after = plan.before, plan.after
    if plan_of(model) is None and count_params(model) != before.params:
        before = _cost(model, resolved)
    if count_params(small) != after.params:
        after = _cost(small, resolved)
    return replace(plan, before=before, after=after)


def _cost(network: nn.Module, resolved: ResolvedPlan) -> Cost:
    if not resolved.decides:
        return cost_of(network, resolved.inputs)
    generator = torch.Generator().manual_seed(0)
    device = next(network.parameters()).device
    return measure(network, resolved.inputs.map(lambda spec: spec.random(generator).to(device)))


def _with_plan_(small: M, resolved: ResolvedPlan, plan: PrunePlan) -> M:
    update_feature_info_(small, inputs_of(plan))
    keep_plan_(small, replace(plan, groups=resolved.groups, resolved=resolved))
    return small
