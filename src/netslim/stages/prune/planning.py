"""From settings to a plan."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from netslim.core.errors import NetslimError, UsageError, first_of, setting
from netslim.core.networks.trees import Batch
from netslim.core.protocols import Budget, PrunePlan, plan_of
from netslim.data import AnyDataset
from netslim.own_loop.rounds import percent_of_all
from netslim.pruning import Agreement, apply, plan, verify
from netslim.pruning.budget.request import Request, asked_for, check_counts, requested
from netslim.pruning.budget.sensitivity import IMAGES, Progress, check_allocation
from netslim.pruning.budget.timing import TimingEngine
from netslim.pruning.criteria import CRITERIA
from netslim.pruning.resolve_plan import ResolvedPlan
from netslim.pruning.zero_channels import shrank
from netslim.report.console import say
from netslim.report.page.plan_file import floor_shown
from netslim.report.progress import LayersProgress
from netslim.report.tables import percent, print_table
from netslim.stages.prune.config import PruneConfig
from netslim.stages.shared.calibration_data import calibration_batches, some_training_images
from netslim.stages.shared.lists import listed
from netslim.stages.shared.tasks import check_criterion
from netslim.training.tasks.task import Task

M = TypeVar("M", bound=nn.Module)
PERCENT = 0.5  # where no budget is given: the original's
_BATCHES = 20  # of 128 training images, for criteria that look at them
_SHOWN = 5
_UNITS = {"percent": "channels", "params": "parameters", "macs": "MACs"}


def check_budget(config: PruneConfig) -> None:
    """Raises UsageError for two budgets, or for numbers that are none, before anything is opened."""
    budget_of(config)
    check_counts(config.min_channels, config.round_to, config.latency_batch)
    check_allocation(config.allocation, config.per_layer, ())
    if config.target_latency is None:
        config.refuse(("latency_batch",), "it is the batch of a latency; type `target_latency=0.5` with it")
    if config.engine is None:
        config.refuse(("threads", "table", "int8"), "this is of an engine; type `engine='onnxruntime'` with it")
    elif config.target_latency is None:
        raise UsageError(f"{setting('engine', config.engine)} is for a latency; type `target_latency=0.5` with it")
    elif config.steps == 1:
        config.refuse(("batch_size",), "the batch of a latency is `latency_batch`; type that")


def budget_of(config: PruneConfig) -> Request:
    """The budget that the settings ask for. Raises UsageError for two, or for one that is none."""
    targets = {"params": config.target_params, "macs": config.target_macs, "latency": config.target_latency}
    return requested(_percent(config), targets)


def proven(model: M, decided: PrunePlan, example: Any) -> tuple[M, Agreement]:
    """The pruned network, and how far it is from the masked one. Raises NetslimError: too far."""
    small = apply(model, decided)
    agreement = verify(model, small, example)
    if not agreement.finite:
        raise NetslimError("the network gives no finite number, so that nothing can be compared; nothing was written")
    if not agreement.agrees:
        raise NetslimError(
            f"the pruned network differs from the masked one by {agreement.max_difference:.2e}; nothing was written"
        )
    return small, agreement


def decide(
    config: PruneConfig,
    model: nn.Module,
    example: Batch,
    dataset: AnyDataset | None,
    task: Task | None = None,
    images: Sequence[Batch] | None = None,
) -> PrunePlan:
    """The plan that the settings ask for; `images` are looked at where there is no data set.

    Raises:
        DataError, UsageError: as `netslim.plan` does.
    """
    check_criterion(config.criterion, task)
    batches = images if dataset is None else _batches(config, dataset, example.device)
    with engine_of(config) as engine, _shown(config) as progress:
        return _decided(config, model, example, batches, engine, progress)


def _batches(config: PruneConfig, dataset: AnyDataset, device: torch.device) -> Iterable[Any]:
    """What criteria and allocations look at: with labels, or as in training."""
    if config.allocation == "scores" or CRITERIA.get(config.criterion).needs_batches:
        return _Labelled(dataset, config.seed, device.type)
    return [images.to(device) for images in some_training_images(dataset, IMAGES, config.seed)]


@contextmanager
def engine_of(config: PruneConfig) -> Iterator[TimingEngine | None]:
    """The engine that the settings name, which shows how far its table is; or None."""
    if config.engine is None:
        yield None
        return
    from netslim.deploy.latency import Engine

    with LayersProgress("timing parts") as shown:
        yield Engine(
            config.engine,
            batch_size=config.latency_batch,
            threads=config.threads,
            int8=config.int8,
            table=config.table,
            progress=shown.layer,
        )


@contextmanager
def _shown(config: PruneConfig) -> Iterator[Progress]:
    """Shows how far the measuring of layers is; not beside the bar of an engine, since terminals have one at a time."""
    if config.allocation == "scores" or config.engine is not None:
        yield lambda done, total: None  # noqa: ARG005
        return
    with LayersProgress("measuring layers") as shown:
        yield shown.layer


def _decided(
    config: PruneConfig,
    model: nn.Module,
    example: Batch,
    batches: Iterable[Any] | None,
    engine: TimingEngine | None,
    progress: Progress,
) -> PrunePlan:
    settings: dict[str, Any] = {
        "criterion": config.criterion,
        "min_channels": config.min_channels,
        "round_to": config.round_to,
        "ignore": _patterns(config.ignore),
        "only": _patterns(config.only),
        "per_layer": config.per_layer,
        "residual": config.residual,
        "allocation": config.allocation,
        "batches": batches,
        "seed": config.seed,
        "progress": progress,
    }
    share = _percent(config)
    if share is not None and shrank(plan_of(model)):
        return percent_of_all(model, example, share, **settings)
    return plan(
        model,
        example,
        percent=share,
        target_params=config.target_params,
        target_macs=config.target_macs,
        target_latency=config.target_latency,
        latency_batch=config.latency_batch,
        engine=engine,
        **settings,
    )


class _Labelled:
    """Training images and labels that are loaded when a criterion asks for them."""

    def __init__(self, dataset: AnyDataset, seed: int, device: str) -> None:
        self._dataset = dataset
        self._seed = seed
        self._device = device

    def __iter__(self) -> Iterator[tuple[Batch, Tensor]]:
        for images, labels in calibration_batches(self._dataset, _BATCHES, self._seed):
            yield images.to(self._device), labels.to(self._device)


def recorded(decided: PrunePlan) -> dict[str, Any]:
    """What a run's record says of a plan."""
    return {
        "percent": decided.percent,
        "budget": dataclasses.asdict(decided.budget) if decided.budget else None,
        "channels": decided.total,
        "kept": decided.kept,
        "clamped": list(decided.clamped),
        "unrounded": list(decided.unrounded),
        "params_before": decided.before.params,
        "params": decided.after.params,
        "macs_before": decided.before.macs,
        "macs": decided.after.macs,
        "streams": _streams(decided),
    }


def _streams(decided: PrunePlan) -> dict[str, list[str]]:
    return decided.resolved.streams if isinstance(decided.resolved, ResolvedPlan) else {}


def say_plan(decided: PrunePlan) -> None:
    """Prints what every group keeps, how the budget was met, and what is left of the network."""
    streams = _streams(decided)
    names = [_named(group.name, streams.get(group.name, [])) for group in decided.groups]
    kept = [f"{len(group.keep)}/{group.total}" for group in decided.groups]
    print_table(["layer", "kept"], zip(names, kept, strict=True))
    _say_budget(decided)
    before, after = decided.before, decided.after
    say(f"channels   {decided.total:,} -> {decided.kept:,} ({percent(decided.kept / decided.total, 1)})")
    say(f"parameters {before.params:,} -> {after.params:,} ({percent(after.params / before.params, 1)})")
    say(f"MACs       {before.macs:,} -> {after.macs:,} ({percent(after.macs / before.macs, 1)})")


def _named(name: str, writers: Sequence[str]) -> str:
    """A group by its BatchNorm; of a residual stream, of which that says little, with the layers that write it."""
    return f"{name} (stream of {first_of(writers, _SHOWN)})" if writers else name


def _say_budget(decided: PrunePlan) -> None:
    """Prints what was asked for and reached, and what could not be done as asked."""
    budget = decided.budget
    if budget is None:
        return
    if budget.kind == "latency":
        reached = f"{budget.reached * 1e3:.3g} ms"
        asked = f"{budget.target * 1e3:.3g} ms"
    else:
        reached, asked = f"{budget.reached:,.0f} {_UNITS[budget.kind]}", f"{budget.target:,.0f}"
    left = budget.kind == "percent" and budget.dense < decided.total  # channels are of what an earlier pruning left
    whole = "before this pruning" if left else "the unpruned network"
    share = f"{percent(budget.reached / budget.dense, 1)} of {whole}{_how(budget)}"
    say(f"budget     {asked_for(budget.kind, budget.asked)}: {asked} asked for, {reached} reached ({share})")
    if decided.clamped:
        say(f"held at {_floor(decided)}: {', '.join(decided.clamped)}")
    if decided.unrounded:
        say(f"whole, at a width that is no multiple of {decided.round_to}: {', '.join(decided.unrounded)}")
    if decided.left_alone:
        say(f"left alone: {_first([f'{part.name} ({part.reason})' for part in decided.left_alone])}")


def _floor(decided: PrunePlan) -> str:
    """The least width that layers were held at, and the setting that made it so."""
    left = [len(group.keep) for group in decided.groups if group.name in decided.clamped]
    shown = floor_shown(left, decided.min_channels)
    asked = f"`min_channels={decided.min_channels}`"
    if max(left) <= decided.min_channels:
        return asked
    return f"{shown} (`round_to={decided.round_to}`)" if decided.round_to > 1 else f"{shown} ({asked})"


def _how(budget: Budget) -> str:
    """In which engine a latency is, and what was expected; nothing for other budgets."""
    if budget.kind != "latency":
        return ""
    measured = "measured in turns with the unpruned network" if budget.measured else "predicted by the table alone"
    if budget.engine is None:
        return f"; at batch {budget.batch}, {measured}"
    threads = f"{budget.threads} thread{'s' * (budget.threads != 1)}"
    predicted = f"; {budget.predicted * 1e3:.3g} ms were predicted" if budget.measured and budget.predicted else ""
    return f"; {budget.engine}{', int8,' * budget.int8} at batch {budget.batch} on {threads}, {measured}{predicted}"


def _first(items: list[str]) -> str:
    return first_of(items, _SHOWN) + (" (see plan.json)" if len(items) > _SHOWN else "")


def _percent(config: PruneConfig) -> float | None:
    """The share that was given, or the original's where no budget was."""
    targets = (config.target_params, config.target_macs, config.target_latency)
    return PERCENT if config.percent is None and not any(targets) else config.percent


def _patterns(text: str | None) -> tuple[str, ...]:
    return tuple(word for word in listed(text or "") if word)
