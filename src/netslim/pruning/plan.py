"""Which channels go: a ranking of scores, as in Liu et al. 2017, section 3, cut where a budget is met."""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.errors import NetslimWarning, UsageError
from netslim.core.networks.example import Inputs, TensorSpec, inputs_to_dict
from netslim.core.networks.running import running
from netslim.core.networks.wrappers import plain
from netslim.core.protocols import Budget, Cost, GroupPlan, PrunableModel, PrunePlan, plan_of
from netslim.dependency.blocks.find_blocks import with_blocks
from netslim.dependency.groups import BoundGroup, Grouping, groups_of, title
from netslim.dependency.meta import cost_of, products_of
from netslim.dependency.other_sizes import note_of_sizes
from netslim.models import build
from netslim.pruning.budget.cost_model import CostModel
from netslim.pruning.budget.group_limits import limits_of
from netslim.pruning.budget.in_engine import Problem, check_engine, within_engine
from netslim.pruning.budget.latency import Stopwatch, batch_of, within
from netslim.pruning.budget.ranking import Ranking, ranked
from netslim.pruning.budget.request import check_counts, requested
from netslim.pruning.budget.sensitivity import Progress, check_allocation, per_cost, sensitivities
from netslim.pruning.budget.solve import Limits, Outcome, by_cost, by_percent, outcome_of, search_of
from netslim.pruning.budget.timing import TimingEngine
from netslim.pruning.criteria import CRITERIA
from netslim.pruning.criterion import Evidence
from netslim.pruning.notes import budget_notes, computed_note, scales_note, settings_for_more, unscaled_note
from netslim.pruning.resolve_plan import resolve
from netslim.pruning.scope import Candidates, candidates, pruned_before


def plan(  # noqa: PLR0913 - a keyword for every setting
    model: nn.Module,
    example: Any,
    *,
    percent: float | None = None,
    target_params: float | str | None = None,
    target_macs: float | str | None = None,
    target_latency: float | str | None = None,
    criterion: str = "bn_scale",
    min_channels: int = 1,
    round_to: int = 1,
    ignore: Sequence[str] = (),
    only: Sequence[str] = (),
    per_layer: bool = False,
    residual: str | None = None,
    allocation: str = "scores",
    batches: Iterable[Any] | None = None,
    latency_batch: int = 1,
    engine: TimingEngine | None = None,
    seed: int = 1,
    progress: Progress = lambda done, total: None,  # noqa: ARG005
) -> PrunePlan:
    """Decides which channels of a network stay.

    The network's own channel groups are taken, or derived from a run on the shape of `example` where it declares none;
    what can't be proven to work without some of its channels is left alone and listed in the plan.

    All channels of all groups are ranked together, ties broken by index, and the lowest go until the one budget that is
    given is met: exactly (percent), or within 1 % (parameters, MACs), or else as nearly as can be. A group keeps its
    best channels. What is not as one would expect is in the plan's notes, and a `NetslimWarning`.

    Args:
        model: any network, left unchanged. One that was pruned before gets a plan relative to the unpruned network.
        example: an input (N, ...) of any type, a tuple of several, or a dictionary of inputs by name; shapes and types
            alone are used, and the cost is counted at them for one of the batch. Where values decide what the network
            does (detectors: `([image, image],)`, or `(images, targets)` for their losses), its values are used as well.
        percent: share of the channels that goes, 0 <= percent < 1: the floor(channels x percent) + 1 lowest, which is
            the original's count (none at percent 0).
        target_params, target_macs: what should remain, as a share of the unpruned network's (0.5) or as a number (1.2e6
            or "1.2M").
        target_latency: likewise, as a share (0.6) or a time ("3ms"), measured on this machine while planning.
        criterion: a registered criterion; `bn_scale` is the BatchNorm scale's size.
        min_channels: the least that any group keeps; 0 lets those groups be emptied whose layers can go as a whole:
            residual blocks whose shortcut is an identity.
        round_to: the layers' widths become multiples of it, the nearest that meet the budget. A group that keeps all
            its channels is left as it is, and listed in the plan if its width is no multiple.
        ignore, only: patterns (`layer1*`) on the names of groups, of the layers that give their channels and of what
            these are parts of: no channels of the first go, only of the second.
        per_layer: rank each group for itself: the same share of every group goes.
        residual: "couple": the same channels of a residual stream go in the whole stage. "select": each block selects
            its own inputs, in networks that are built so. None: as the network declares it, else "couple".
        allocation: "scores": one ranking of all channels' scores says how many of each layer go. "sensitivity": the
            outputs do, by what they lose when channels of one layer alone go, and scores say which of a layer; needs
            `batches`, without labels.
        batches: normalised images, and labels for criteria that need them (`taylor`).
        latency_batch: images of the batch whose latency is measured.
        engine: with target_latency, what the network will run on (`netslim.Engine("onnxruntime", threads=2)`): channels
            are spent where its time goes, in widths that it is fast at, and the batch is the engine's.
        seed: of what is random (criterion `random`).
        progress: with allocation "sensitivity", called before each run with the number of runs behind, and of all.

    Raises:
        DataError: there are too few images, or what the network makes of them is not finite.
        UsageError: no budget, two, or one that can't be met (the nearest that can is named); an argument out of range,
            an unknown criterion, a pattern that matches nothing, scores that are not finite, a network that does not
            run on `example` or can't be followed, or that has no channels which the criterion scores.

    >>> import torch, netslim
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8),
    ...     torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(288, 10)
    ... )
    >>> _ = model[1].weight.data.copy_(torch.linspace(0.1, 0.8, 8))  # scales, as training with a penalty leaves them
    >>> netslim.plan(model, torch.zeros(2, 3, 8, 8), percent=0.4).groups
    (GroupPlan(name='1', total=8, keep=(4, 5, 6, 7)),)
    >>> netslim.plan(model, torch.zeros(2, 3, 8, 8), target_params=0.5).after
    Cost(params=1570, macs=5328)
    """
    request = requested(percent, {"params": target_params, "macs": target_macs, "latency": target_latency})
    check_counts(min_channels, round_to, latency_batch)
    check_engine(engine, request, per_layer)
    check_allocation(allocation, per_layer, batches)
    CRITERIA.get(criterion)
    by_loss = allocation == "sensitivity"
    if by_loss and CRITERIA.get(criterion).needs_batches and isinstance(batches, Iterator):
        batches = [*batches]  # they are read twice
    computed, model, inputs = computed_note(model), plain(model), Inputs.of(example)
    found = groups_of(model, inputs, residual)
    if min_channels == 0:
        found = with_blocks(model, found, inputs)
    groups = candidates(model, found, criterion, pruned_before(model, found), (only, ignore))
    costs = _cost_model(model, found, groups, inputs)
    scores = _scores(model, groups.scored, criterion, _evidence(groups, costs, criterion, seed, batches))
    ranking = ranked(scores, per_layer)
    limits = limits_of(found.groups, groups.scored, min_channels, round_to)
    before = _cost_before(model, inputs, costs)
    blank = PrunePlan(
        arch=getattr(model, "arch", None) if isinstance(model, PrunableModel) else None,
        groups=(),
        percent=request.value,
        criterion=criterion,
        allocation=allocation,
        min_channels=min_channels,
        clamped=(),
        before=before,
        after=before,
        input_shape=_shape(inputs),
        traced=found.derivation is not None,
        left_alone=groups.left_alone,
        round_to=round_to,
        inputs=_recorded(inputs, found),
        ties=found.derivation.ties if found.derivation else {},
        notes=(*computed, *_notes(model, found, groups, criterion)),
    )
    draft = partial(_draft, model, found, costs, blank, groups)
    if by_loss:
        scores = sensitivities(model, scores, partial(draft, ranking, limits), batches, progress)
        ranking = ranked(per_cost(scores, costs, request.kind), per_layer)
    draft = partial(draft, ranking, limits)
    summed = by_loss or CRITERIA.get(criterion).needs_batches
    more = partial(settings_for_more, model, found, inputs, min_channels)
    problem = Problem(request, model, inputs, groups.scored, scores, ranking, limits, draft, summed, more)
    if engine is not None:
        decided = within_engine(engine, problem)
    elif request.kind == "percent":
        decided = draft(by_percent(request, ranking, limits, per_layer))
    elif request.kind == "latency":
        decided = _within_latency(problem, costs, latency_batch)
    else:
        decided = _at_cost(problem, costs, getattr(before, request.kind))
    elsewhere = note_of_sizes(model, found.derivation) if found.derivation else None  # last: caches may be cleared
    decided = replace(decided, notes=(*decided.notes, elsewhere)) if elsewhere else decided
    for note in decided.notes:
        warnings.warn(note, NetslimWarning, stacklevel=2)
    return decided


def _within_latency(problem: Problem, costs: CostModel, batch: int) -> PrunePlan:
    """The plan that meets a budget of time in PyTorch."""
    request, ranking, limits = problem.request, problem.ranking, problem.limits
    search = search_of(ranking, limits, lambda removed: costs.at(removed).macs)
    unmet = Budget(kind="latency", asked=request.asked, target=0, reached=0, dense=0)
    stopwatch = Stopwatch(problem.model, batch_of(problem.inputs, batch))
    return within(request, search, lambda s: problem.draft(outcome_of(s, ranking, limits, unmet)), stopwatch, batch)


def _at_cost(problem: Problem, costs: CostModel, dense: int) -> PrunePlan:
    """The plan that meets a budget of parameters or MACs, of which the unpruned network has so many."""
    request = problem.request
    outcome = by_cost(
        request, problem.ranking, problem.limits, lambda removed: getattr(costs.at(removed), request.kind), dense
    )
    return problem.draft(outcome)


def _cost_model(model: nn.Module, found: Grouping, groups: Candidates, inputs: Inputs) -> CostModel:
    if found.derivation is not None:
        return CostModel(model, groups.scored, found.derivation.uses, found.derivation.runs[0].inputs.batch)
    with running(model, inputs.map(TensorSpec.of)):
        return CostModel(model, groups.scored, products_of(model, inputs), max(inputs.batch, 1))


def _notes(model: nn.Module, found: Grouping, groups: Candidates, criterion: str) -> tuple[str, ...]:
    by_scales = CRITERIA.get(criterion).needs_scales
    said = [scales_note(model, groups.scored), unscaled_note(model, found, groups.scored)] if by_scales else []
    return (*filter(None, said), *(found.derivation.notes if found.derivation else ()))


def _shape(inputs: Inputs) -> tuple[int, ...]:
    """Of the first input, for one of the batch."""
    return (1, *inputs.tensors[0].shape[1:])


def _recorded(inputs: Inputs, found: Grouping) -> dict[str, Any] | None:
    """What a plan has to say of the inputs beyond the shape of the only one."""
    if found.derivation is None or (inputs.is_single and found.derivation.runs[0].inputs.batch == 2):
        return None
    return inputs_to_dict(found.derivation.runs[0].inputs)


def _draft(
    model: nn.Module,
    found: Grouping,
    costs: CostModel,
    blank: PrunePlan,
    groups: Candidates,
    ranking: Ranking,
    limits: Limits,
    outcome: Outcome,
) -> PrunePlan:
    """The plan that removes what `outcome` says, with the cost of what is left."""
    names = [own.group.name for own in groups.scored]
    kept = dict(zip(names, ranking.kept(outcome.removed), strict=True))
    rounded = zip(names, map(len, kept.values()), limits.multiples, strict=True)
    plan = replace(
        blank,
        groups=_parts(model, groups, kept),
        percent=blank.percent if outcome.budget.kind == "percent" else sum(outcome.removed) / ranking.total,
        clamped=tuple(names[number] for number in outcome.held),
        budget=outcome.budget,
        unrounded=tuple(name for name, count, multiple in rounded if count % multiple),
    )
    plan = replace(plan, notes=(*plan.notes, *budget_notes(outcome.budget, outcome.removed)))
    resolved = resolve(model, plan, found)
    return replace(plan, after=costs.at(torch.tensor(outcome.removed)), resolved=resolved)


def _evidence(
    groups: Candidates, costs: CostModel, criterion: str, seed: int, batches: Iterable[Any] | None
) -> Evidence:
    counted = costs.per_channel("macs") if CRITERIA.get(criterion).prepare else []  # a `score` is shown no evidence
    macs = {own.group.name: macs for own, macs in zip(groups.scored, counted, strict=False)}
    return Evidence(groups=[own.group for own in groups.scored], macs=macs, seed=seed, batches=batches)


def _scores(model: nn.Module, groups: Sequence[BoundGroup], name: str, evidence: Evidence) -> list[Tensor]:
    """Per group the scores of its channels that are still in use, on the CPU."""
    score = CRITERIA.get(name).scorer(name, model, evidence)
    found = []
    for own in groups:
        scores = score(model, own.group).detach()
        if scores.is_meta:
            raise UsageError(
                f"{title(model)} is on the meta device, so that criterion '{name}' has no weights to read; load some "
                f"first (`model.to_empty(device='cpu')` and `load_state_dict`)"
            )
        scores = scores.cpu()
        if scores.shape != (own.width,) or not scores.isfinite().all():
            raise UsageError(
                f"criterion '{name}' gives group '{own.group.name}' no finite score for each of its {own.width} "
                f"channels; are the weights finite?"
            )
        found.append(scores[own.channels])
    return found


def _parts(model: nn.Module, groups: Candidates, kept: Mapping[str, Sequence[int]]) -> tuple[GroupPlan, ...]:
    """Every group of the plan, its channels named as in the unpruned network."""
    done = plan_of(model)
    before = {part.name: part for part in done.groups} if done else {}
    parts = dict(before)  # in their order, with those that are gone altogether
    for own in groups.groups:
        name, here = own.group.name, range(len(own.channels))
        part = before.get(name) or GroupPlan(name=name, total=len(here), keep=tuple(here))
        parts[name] = replace(part, keep=tuple(part.keep[channel] for channel in kept.get(name, here)))
    return tuple(parts.values())


def _cost_before(model: nn.Module, inputs: Inputs, costs: CostModel) -> Cost:
    """Cost of the unpruned network at `example`; one counted at another size is counted again."""
    done = plan_of(model)
    if done is None:
        return costs.now
    if done.input_shape[1:] == _shape(inputs)[1:]:
        return done.before
    if done.arch is None:
        size = " x ".join(str(side) for side in done.input_shape[1:])
        raise UsageError(f"{type(model).__name__} was pruned at inputs of {size}; give an example of that size again")
    return cost_of(build(done.arch), inputs)
