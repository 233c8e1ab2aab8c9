"""Pruning in rounds with training of one's own in between, by shares of the original network."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

from torch import nn

from netslim.core.errors import NetslimWarning, UsageError, either, unknown_name
from netslim.core.networks.wrappers import unwrapped
from netslim.core.numbers import is_number
from netslim.core.protocols import PrunePlan, plan_of
from netslim.pruning import apply, plan

BUDGETS = ("percent", "target_params", "target_macs")
_OTHER_BUDGETS = (*BUDGETS, "target_latency", "engine")


class Round(NamedTuple):
    """One round of pruning.

    Attributes:
        small: the network that is left, to be trained.
        plan: what stays of the original network.
        model: the network before this round, for `repair_` and `carry`.
    """

    small: nn.Module
    plan: PrunePlan
    model: nn.Module


def iterative(
    model: nn.Module, example: Any, schedule: Sequence[float], *, budget: str = "percent", **settings: Any
) -> Iterator[Round]:
    """Prunes a network in rounds, between which your own loop trains what is left.

    What a round removes is decided when it is asked for, so that it sees the training since the last one (Han et al.
    2015; Frankle and Carbin 2019). Shares are of the original network, whatever went before: a network that was pruned
    already, as by a run that was cut off, goes on with the rest of its schedule.

    Args:
        model: any network, left unchanged.
        example: an input, as for `plan`.
        schedule: a share for each round: of the original network's channels that are gone after it (`percent`, rising),
            or of its parameters or MACs that are left (falling).
        budget: `percent`, `target_params` or `target_macs`.
        **settings: of `netslim.plan`, the same in every round.

    Returns:
        An iterator over one `Round` each.

    Raises:
        UsageError: the budget is unknown, or the schedule is empty, out of range, or does not go one way.

    >>> import torch, netslim
    >>> model, images = netslim.create_model("resnet", depth=11, num_classes=10), torch.randn(4, 3, 16, 16)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    >>> for small, plan, before in netslim.iterative(model, images, (0.2, 0.4), criterion="l1_norm"):
    ...     _ = netslim.repair_(small, before, [images])
    ...     optimizer = netslim.carry(optimizer, before, small)
    ...     small(images).sum().backward()  # a training of your own
    ...     optimizer.step()
    ...     print(f"{plan.kept} of {plan.total} channels, {plan.percent:.0%} gone")
    550 of 688 channels, 20% gone
    412 of 688 channels, 40% gone
    """
    shares = check_schedule(schedule, budget)
    for name in settings:
        if name not in inspect.signature(plan).parameters:
            raise unknown_name("setting of plan()", name, inspect.signature(plan).parameters)
        if name in _OTHER_BUDGETS:
            raise UsageError(f"setting '{name}': rounds are by `budget`, {either(BUDGETS)}, and `schedule` alone")
    return _rounds(unwrapped(model), example, shares, budget, settings)


def _rounds(
    model: nn.Module, example: Any, schedule: tuple[float, ...], budget: str, settings: dict[str, Any]
) -> Iterator[Round]:
    for share in schedule:
        small, decided, _ = found = prune_to(model, example, share, budget, **settings)
        yield found
        model = small
        del small, decided, found  # the network before is kept by those who use it


def prune_to(model: nn.Module, example: Any, share: float, budget: str, **settings: Any) -> Round:
    """One round: `share` and `budget` as for `iterative`, `model` as it is now."""
    if budget == "percent":
        decided = percent_of_all(model, example, share, **settings)
    else:
        asked: dict[str, Any] = {budget: share}
        decided = plan(model, example, **asked, **settings)
    return Round(apply(model, decided), decided, model)


def final_channels(total: float, percent: float) -> float:
    """Channels that are left of `total` after a single pruning."""
    return total - int(total * percent) - 1 if percent else total


def percent_to_leave(goal: float, left: float) -> float:
    """The share to ask for of `left` channels, so that `goal` stay: in the middle of those that give this count."""
    return max(0.0, (left - goal - 0.5) / left)


def of_all_rounds(decided: PrunePlan, percent: float, total: float) -> PrunePlan:
    """The plan of a round with what all rounds up to it were asked for: a share of `total` channels."""
    if decided.budget is None:
        return decided
    budget = replace(decided.budget, asked=f"{percent:g}", target=final_channels(total, percent), dense=total)
    return replace(decided, percent=percent, budget=budget)


def percent_of_all(model: nn.Module, example: Any, share: float, **settings: Any) -> PrunePlan:
    """`netslim.plan` by a share of the unpruned network's channels, however many of them are gone already."""
    done = plan_of(model)
    if done is None:
        return plan(model, example, percent=share, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetslimWarning)  # said of the plan that counts
        nothing = plan(model, example, percent=0.0, **settings)
    left = nothing.budget.reached if nothing.budget else nothing.kept
    total = left + done.total - done.kept
    if settings.get("per_layer"):
        asked = max(0.0, 1 - (1 - share) * total / left)
    else:
        asked = percent_to_leave(final_channels(total, share), left)
    return of_all_rounds(plan(model, example, percent=asked, **settings), share, total)


def check_schedule(schedule: Iterable[float], budget: str) -> tuple[float, ...]:
    """The shares of a schedule. Raises UsageError for one that `iterative` can't follow."""
    if budget not in BUDGETS:
        raise UsageError(f"budget '{budget}': rounds are by {either(BUDGETS)}")
    rising = budget == "percent"
    listed = isinstance(schedule, Iterable) and not isinstance(schedule, str)
    shares = tuple(schedule) if listed else ()
    if not shares or not all(is_number(share) and 0 < share < 1 for share in shares):
        given = shares if listed else repr(schedule)
        raise UsageError(f"schedule {given}: give a share between 0 and 1 for each round, like (0.2, 0.4)")
    if not all((first < second) == rising and first != second for first, second in pairwise(shares)):
        what = "gone after each round, so it rises" if rising else "left after each round, so it falls"
        raise UsageError(f"schedule {shares}: with `budget='{budget}'` it says what is {what}")
    return shares
