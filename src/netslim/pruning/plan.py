"""Which channels go: a global ranking of scores, as in Liu et al. 2017, section 3, with a floor under every layer."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError, one_of
from netslim.core.protocols import ArchSpec, ChannelGroup, Cost, GroupPlan, LeftAlone, PrunableModel, PrunePlan, plan_of
from netslim.models import build
from netslim.pruning.criteria import CRITERIA, SCALELESS
from netslim.pruning.groups import Grouping, channels_of, groups_of, scale_channels, title
from netslim.pruning.skeleton import cost_of
from netslim.pruning.surgery import cut

SHOWN = 5


def plan(
    model: nn.Module,
    example: Tensor,
    *,
    percent: float,
    criterion: str = "bn_scale",
    min_channels: int = 1,
    residual: str | None = None,
) -> PrunePlan:
    """Decides which channels of a network stay.

    The network's own channel groups are taken, or derived from a run on the shape of `example` where it declares none;
    what can't be proven to work without some of its channels is left alone and listed in the plan.

    All channels of all groups are ranked together; the floor(channels x percent) + 1 lowest go (the original's count;
    none at percent 0), ties broken by index. A group that would fall below `min_channels` keeps its best ones.

    Args:
        model: any network, left unchanged. One that was pruned before gets a plan relative to the unpruned network.
        example: an input (N, C, H, W), whose shape alone is used; the cost is counted at it.
        percent: share of the channels that goes, 0 <= percent < 1.
        criterion: a registered criterion; `bn_scale` is |gamma|.
        min_channels: the least that any group keeps.
        residual: "couple": the same channels of a residual stream go in the whole stage. "select": each block selects
            its own inputs, in networks that are built so. None: as the network declares it, else "couple".

    Raises:
        UsageError: an argument out of range, an unknown criterion, scores that are not finite, a network that does not
            run on `example` or can't be followed, or that has no channels which the criterion scores.
    """
    check_percent(percent)
    if min_channels < 1:
        raise UsageError(f"--min-channels {min_channels}: at least 1, or a layer would have no channel left")
    score = CRITERIA.get(criterion)
    found = groups_of(model, (1, *example.shape[1:]), residual)
    done = _pruned_before(model, found)
    groups, left_alone = _candidates(model, found, criterion, done)
    scores = [_checked(score(model, group), model, group, criterion) for group in groups]
    kept, clamped = _rank(scores, percent, min_channels)
    parts = []
    for group, own, keep in zip(groups, scores, kept, strict=True):
        before = done.get(group.name)
        total = before.total if before else len(own)
        original = before.keep if before else range(total)
        parts.append(GroupPlan(name=group.name, total=total, keep=tuple(original[i] for i in keep)))
    cost = _cost_before(model, example)
    draft = PrunePlan(
        arch=getattr(model, "arch", None) if isinstance(model, PrunableModel) else None,
        groups=tuple(parts),
        percent=percent,
        criterion=criterion,
        min_channels=min_channels,
        clamped=tuple(groups[index].name for index in clamped),
        before=cost,
        after=cost,
        input_shape=(1, *example.shape[1:]),
        traced=found.derivation is not None,
        left_alone=left_alone,
    )
    return replace(draft, after=cost_of(cut(model, draft, hollow=True), example))


def _pruned_before(model: nn.Module, found: Grouping) -> dict[str, GroupPlan]:
    """By name, the groups of the plan that the network was pruned by. Raises UsageError if they are no groups now."""
    done = plan_of(model)
    if done is None:
        return {}
    names = {group.name for group in found.groups}
    if done.traced != (found.derivation is not None) or not names.issuperset(part.name for part in done.groups):
        form = "couple" if done.traced else "select"
        raise UsageError(f"{title(model)} was pruned by other channel groups before; type --residual {form} again")
    return {part.name: part for part in done.groups}


def _candidates(
    model: nn.Module, found: Grouping, criterion: str, done: Mapping[str, GroupPlan]
) -> tuple[list[ChannelGroup], tuple[LeftAlone, ...]]:
    """The groups that the criterion scores, and what is left alone. Raises UsageError if there are none."""
    if found.derivation is None:
        return list(found.groups), ()
    groups, left = [], list(found.left_alone)
    for group in found.groups:
        channels = channels_of(model, group)
        if group.name in done or (channels > 1 and (group.scales or criterion in SCALELESS)):
            groups.append(group)
        else:
            reason = "can only go as a whole" if channels == 1 else "has no BatchNorm that scores it"
            left.append(LeftAlone(name=group.name, channels=channels, reason=reason))
    if groups:
        return groups, tuple(left)
    if not found.derivation.trace.scales and criterion not in SCALELESS:
        raise UsageError(
            f"{title(model)} has no BatchNorm, whose scales criterion '{criterion}' reads; "
            f"criteria that work without: {one_of(sorted(SCALELESS))}"
        )
    reasons = "; ".join(f"{part.name} {part.reason}" for part in left[:SHOWN])
    more = f"; and {len(left) - SHOWN} more" if len(left) > SHOWN else ""
    raise UsageError(f"{title(model)} has no channels that can go: {reasons}{more}")


def check_percent(percent: float) -> None:
    """Raises UsageError unless 0 <= percent < 1."""
    if 0 <= percent < 1:
        return
    hint = f"; type {percent / 100:g}?" if 1 < percent < 100 else ""
    raise UsageError(f"--percent {percent:g}: the share of channels to remove, from 0 up to but not including 1{hint}")


def _checked(scores: Tensor, model: nn.Module, group: ChannelGroup, criterion: str) -> Tensor:
    """The scores of the group's channels that are still in use, on the CPU."""
    scores = scores.detach().cpu()
    width = channels_of(model, group)
    if scores.shape != (width,) or not scores.isfinite().all():
        raise UsageError(
            f"criterion '{criterion}' gives group '{group.name}' no finite score for each of its {width} channels; "
            f"are the weights finite?"
        )
    return scores[scale_channels(model, group)]


def _cost_before(model: nn.Module, example: Tensor) -> Cost:
    """Cost of the unpruned network at `example`; one counted at another size is counted again."""
    done = plan_of(model)
    if done is None:
        return cost_of(model, example)
    if done.input_shape[1:] == example.shape[1:]:
        return done.before
    if done.arch is None:
        size = " x ".join(str(side) for side in done.input_shape[1:])
        raise UsageError(f"{type(model).__name__} was pruned at inputs of {size}; give an example of that size again")
    return cost_of(build(done.arch), example)


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
            traced=bool(data.get("traced", False)),
            left_alone=tuple(
                LeftAlone(name=str(part["name"]), channels=int(part["channels"]), reason=str(part["reason"]))
                for part in data.get("left_alone", ())
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UsageError(f"this is no prune plan: {type(error).__name__} {error}") from error
