"""Which channels go: a global ranking of scores, as in Liu et al. 2017, section 3, with a floor under every layer."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from netslim.core.errors import UsageError
from netslim.core.protocols import ArchSpec, Cost, GroupPlan, PrunableModel, PrunePlan
from netslim.cost import measure
from netslim.pruning.criteria import CRITERIA
from netslim.pruning.groups import groups_of, scale_channels
from netslim.pruning.surgery import apply


def plan(
    model: PrunableModel, example: Tensor, *, percent: float, criterion: str = "bn_scale", min_channels: int = 1
) -> PrunePlan:
    """Decides which channels of a network stay.

    All channels of all groups are ranked together; the floor(channels x percent) + 1 lowest go (the original's count;
    none at percent 0), ties broken by index. A group that would fall below `min_channels` keeps its best ones.

    Args:
        model: left unchanged. One that was pruned before gets a plan relative to the unpruned network.
        example: an input (N, C, H, W) at which the cost is counted.
        percent: share of the channels that goes, 0 <= percent < 1.
        criterion: a registered criterion; `bn_scale` is |gamma|.
        min_channels: the least that any group keeps.

    Raises:
        UsageError: percent or min_channels out of range, unknown criterion, or a network without channel groups.
    """
    check_percent(percent)
    if min_channels < 1:
        raise UsageError(f"--min-channels {min_channels}: at least 1, or a layer would have no channel left")
    groups = groups_of(model)
    score = CRITERIA.get(criterion)
    channels = [scale_channels(model, group) for group in groups]
    scores = [score(model, group).detach().cpu()[used] for group, used in zip(groups, channels, strict=True)]
    kept, clamped = _rank(scores, percent, min_channels)
    parts = []
    for index, group in enumerate(groups):
        before = model.plan.groups[index] if model.plan else None
        original = before.keep if before else range(len(channels[index]))
        total = before.total if before else len(channels[index])
        parts.append(GroupPlan(name=group.name, total=total, keep=tuple(original[i] for i in kept[index])))
    cost = model.plan.before if model.plan else measure(model, example)
    draft = PrunePlan(
        arch=model.arch,
        groups=tuple(parts),
        percent=percent,
        criterion=criterion,
        min_channels=min_channels,
        clamped=tuple(groups[index].name for index in clamped),
        before=cost,
        after=cost,
        input_shape=(1, *example.shape[1:]),
    )
    return replace(draft, after=measure(apply(model, draft), example))


def check_percent(percent: float) -> None:
    """Raises UsageError unless 0 <= percent < 1."""
    if 0 <= percent < 1:
        return
    hint = f"; type {percent / 100:g}?" if 1 < percent < 100 else ""
    raise UsageError(f"--percent {percent:g}: the share of channels to remove, from 0 up to but not including 1{hint}")


def _rank(scores: list[Tensor], percent: float, min_channels: int) -> tuple[list[list[int]], list[int]]:
    """Per group the positions that stay, and the groups that were held at the floor."""
    everything = torch.cat(scores)
    count = int(everything.numel() * percent) + 1 if percent > 0 else 0
    goes = torch.zeros(everything.numel(), dtype=torch.bool)
    goes[torch.argsort(everything, stable=True)[:count]] = True
    kept, clamped = [], []
    for index, (score, gone) in enumerate(zip(scores, torch.split(goes, [len(s) for s in scores]), strict=True)):
        floor = min(min_channels, len(score))
        if len(score) - int(gone.sum()) < floor:
            clamped.append(index)
            best = torch.argsort(score, stable=True)[len(score) - floor :]
            kept.append(sorted(best.tolist()))
        else:
            kept.append((~gone).nonzero().flatten().tolist())
    return kept, clamped


def plan_from_dict(data: Mapping[str, Any]) -> PrunePlan:
    """A plan from the plain data of `PrunePlan.to_dict`. Raises UsageError if it is not one."""
    try:
        arch = data["arch"]
        return PrunePlan(
            arch=ArchSpec(name=arch["name"], arguments=dict(arch["arguments"])) if arch else None,
            groups=tuple(
                GroupPlan(name=str(g["name"]), total=int(g["total"]), keep=tuple(int(i) for i in g["keep"]))
                for g in data["groups"]
            ),
            percent=float(data["percent"]),
            criterion=str(data["criterion"]),
            min_channels=int(data["min_channels"]),
            clamped=tuple(str(name) for name in data["clamped"]),
            before=Cost(**data["before"]),
            after=Cost(**data["after"]),
            input_shape=tuple(int(size) for size in data["input_shape"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"this is no prune plan: {type(error).__name__} {error}") from error
