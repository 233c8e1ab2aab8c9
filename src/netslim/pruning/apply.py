"""Removing channels: a plan and a network in, a new and smaller network out."""

from dataclasses import replace
from typing import TypeVar

from torch import nn

from netslim.core.protocols import PrunePlan, keep_plan_
from netslim.dependency.groups import selection_of
from netslim.dependency.slicing import rebuilt
from netslim.pruning.resolve_plan import ResolvedPlan, resolve

M = TypeVar("M", bound=nn.Module)


def apply(model: M, plan: PrunePlan) -> M:
    """The network without the channels that `plan` removes.

    Args:
        model: left unchanged; either the network of the plan or one that was pruned on the way to it.
        plan: which channels stay, relative to the unpruned network.

    Returns:
        A new network of the same class, on the same device, whose attribute `plan` is `plan`.

    Raises:
        UsageError: the plan is for another network, or was edited into something impossible.
    """
    resolved = resolve(model, plan)
    small = cut(model, resolved)
    keep_plan_(small, replace(plan, groups=resolved.groups, resolved=resolved))
    return small


def cut(model: M, resolved: ResolvedPlan) -> M:
    """A copy of the network that has only what stays; `model` may be another one than the plan's, of its shapes."""
    small = rebuilt(model, resolved.keeps)
    for part in resolved.parts:
        selection = selection_of(small, part.group)
        if selection is not None:
            left = selection.index.tolist()
            selection.select([left[position] for position in part.keep])
    empty = {part.group.branch: None for part in resolved.parts if not part.keep}
    for branch in empty:
        small.drop_branch_(branch)  # type: ignore[operator]
    return small
