"""Removing channels: a plan and a network in, a new and smaller network out."""

from collections.abc import Sequence
from typing import TypeVar

from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.protocols import ChannelGroup, PrunableModel, PrunePlan, plan_of
from netslim.dependency.find_groups import derive
from netslim.dependency.groups import planned, selection_of, slices_of, title, with_whole_branches
from netslim.dependency.slicing import keeps_of, rebuilt, sizes_of
from netslim.dependency.trace import Place

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
    plan = with_whole_branches(model, plan)
    parts = planned(model, plan)
    small = rebuilt(model, entries_that_work(model, plan))
    for group, keep in parts:
        selection = selection_of(small, group)
        if selection is not None:
            left = selection.index.tolist()
            selection.select([left[position] for position in keep])
    empty = {group.branch: None for group, keep in parts if not keep}
    for branch in empty:
        small.drop_branch_(branch)  # type: ignore[operator]
    small.plan = plan  # type: ignore[assignment]
    return small


def entries_that_work(model: nn.Module, plan: PrunePlan) -> dict[Place, Tensor]:
    """Per dimension that loses entries, the indices that stay; proven to work where groups were derived.

    Raises:
        UsageError: see `apply`.
    """
    if not isinstance(model, PrunableModel) and plan_of(model) is None and hasattr(model, "plan"):
        raise UsageError(f"{type(model).__name__} has an attribute 'plan' of its own, where the prune plan would go")
    keeps = entries_left(model, planned(model, with_whole_branches(model, plan)))
    if plan.traced and keeps:
        fault = derive(model, plan.input_shape).fault(model, keeps)
        if fault is not None:
            raise UsageError(
                f"{title(model)} would not run as planned: {fault.name} at {fault.where} would do something else"
            )
    return keeps


def entries_left(model: nn.Module, parts: Sequence[tuple[ChannelGroup, Sequence[int]]]) -> dict[Place, Tensor]:
    """Per dimension of a parameter or buffer that loses entries, the indices that stay (see `planned`)."""
    return keeps_of([slices_of(model, group) for group, _ in parts], [keep for _, keep in parts], sizes_of(model))
