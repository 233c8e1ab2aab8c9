"""Which channels go: a global ranking of scores, as in Liu et al. 2017, section 3, with a floor under every layer."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from netslim.core.errors import UsageError
from netslim.core.protocols import ArchSpec, ChannelGroup, Cost, GroupPlan, PrunableModel, PrunePlan
from netslim.cost import measure
from netslim.models import build
from netslim.pruning.criteria import CRITERIA
from netslim.pruning.groups import groups_of, scale_channels, scales_of
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
        UsageError: percent or min_channels out of range, unknown criterion, scores that are not finite, or a network
            without channel groups.
    """
    check_percent(percent)
    if min_channels < 1:
        raise UsageError(f"--min-channels {min_channels}: at least 1, or a layer would have no channel left")
    groups = groups_of(model)
    scores = [_scores(model, group, criterion) for group in groups]
    kept, clamped = _rank(scores, percent, min_channels)
    parts = []
    for index, group in enumerate(groups):
        before = model.plan.groups[index] if model.plan else None
        total = before.total if before else len(scores[index])
        original = before.keep if before else range(total)
        parts.append(GroupPlan(name=group.name, total=total, keep=tuple(original[i] for i in kept[index])))
    cost = _cost_before(model, example)
    draft = PrunePlan(
        arch=getattr(model, "arch", None),
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


def _scores(model: PrunableModel, group: ChannelGroup, criterion: str) -> Tensor:
    """The scores of the group's channels that are still in use, on the CPU."""
    scores = CRITERIA.get(criterion)(model, group).detach().cpu()
    width = scales_of(model, group)[0].num_features
    if scores.shape != (width,) or not scores.isfinite().all():
        raise UsageError(
            f"criterion '{criterion}' gives group '{group.name}' no finite score for each of its {width} channels; "
            f"are the weights finite?"
        )
    return scores[scale_channels(model, group)]


def _cost_before(model: PrunableModel, example: Tensor) -> Cost:
    """Cost of the unpruned network at `example`; one counted at another size is counted again."""
    if model.plan is None:
        return measure(model, example)
    if model.plan.input_shape[1:] == example.shape[1:]:
        return model.plan.before
    if model.plan.arch is None:
        size = " x ".join(str(side) for side in model.plan.input_shape[1:])
        raise UsageError(f"{type(model).__name__} was pruned at inputs of {size}; give an example of that size again")
    return measure(build(model.plan.arch).to(example.device, example.dtype), example)


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
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UsageError(f"this is no prune plan: {type(error).__name__} {error}") from error
