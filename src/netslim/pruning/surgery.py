"""Removing channels: a plan and a network in, a new and smaller network out."""

from typing import TypeVar

from torch import nn

from netslim.core.errors import UsageError
from netslim.core.protocols import PrunableModel, PrunePlan, plan_of
from netslim.pruning.cutting import keeps_of, rebuilt, sizes_of
from netslim.pruning.derive import derive
from netslim.pruning.groups import planned, selection_of, slices_of, title

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
    return cut(model, plan)


def cut(model: M, plan: PrunePlan, *, hollow: bool = False) -> M:
    """`apply`, or the same on shapes alone."""
    if not isinstance(model, PrunableModel) and plan_of(model) is None and hasattr(model, "plan"):
        raise UsageError(f"{type(model).__name__} has an attribute 'plan' of its own, where the prune plan would go")
    parts = planned(model, plan)
    slices = [slices_of(model, group) for group, _ in parts]
    keeps = keeps_of(slices, [keep for _, keep in parts], sizes_of(model))
    if plan.traced and keeps:
        fault = derive(model, plan.input_shape).fault(model, keeps)
        if fault is not None:
            raise UsageError(
                f"{title(model)} would not run as planned: {fault.name} at {fault.where} would do something else"
            )
    small = rebuilt(model, keeps, hollow=hollow)
    for group, keep in parts:
        selection = selection_of(small, group)
        if selection is not None:
            left = selection.index.tolist()
            selection.select([left[position] for position in keep])
    small.plan = plan  # type: ignore[assignment]
    return small
