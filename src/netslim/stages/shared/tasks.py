"""Loss, metric and optimizer from the settings that name them, or from what a file says of its training."""

import dataclasses
import functools
from pathlib import Path

import torch
from torch import nn

from netslim.core.checkpoint import Checkpoint
from netslim.core.errors import ArgumentError, UsageError, setting
from netslim.core.plugins.references import is_reference, load_reference
from netslim.core.schemas import USUAL_TASK, TaskFacts
from netslim.data import AnyDataset, UserDataset, evaluation_batches
from netslim.pruning.criteria import CRITERIA
from netslim.stages.shared.config import JudgedConfig
from netslim.training.losses import LOSSES, Loss
from netslim.training.losses.own import own_loss
from netslim.training.metrics import METRICS, MetricSpec
from netslim.training.metrics.own import own_metric
from netslim.training.metrics.running import Gathered, MeanOverImages, Running
from netslim.training.tasks.objective import Checked, Classification, MeanLoss, Objective
from netslim.training.tasks.rehearsal import rehearse
from netslim.training.tasks.task import Task

MODES = ("max", "min")
FEW = 8  # samples that show whether everything goes together


def task_facts(task: Task, best: float) -> TaskFacts | None:
    """What a checkpoint records, so that the network is judged by the same again; None: the usual.

    Args:
        task: loss and metric.
        best: the metric of the network.
    """
    if task.is_top1:
        return None
    return TaskFacts.model_validate({"loss": task.loss, "metric": task.metric, "metric_mode": task.mode, "best": best})


def check_task(config: JudgedConfig) -> None:
    """Raises UsageError for an unknown loss, metric or mode, before anything is opened; imports the user's own."""
    if config.metric_mode not in (None, *MODES):
        raise ArgumentError("metric_mode", config.metric_mode, "type max or min")
    for name, given, registry in (("loss", config.loss, LOSSES), ("metric", config.metric, METRICS)):
        if given is not None:
            load_reference(name, given) if is_reference(given) else registry.get(given)


def task_of(
    config: JudgedConfig,
    dataset: AnyDataset,
    checkpoint: Checkpoint | None = None,
    path: Path | None = None,
    *,
    label_smoothing: float = 0.0,
    device: torch.device | str = "cpu",
) -> Task:
    """Loss and metric that the settings name, else those of a file's training.

    Args:
        config: the settings.
        dataset: says whether its labels are class numbers, and how much each class counts.
        checkpoint: the file, which never makes code run: what it says of the user's own has to be given.
        path: of the file, for messages.
        label_smoothing: of cross_entropy.
        device: where the weights of classes are.

    Raises:
        UsageError: an unknown name, a reference that must be given, settings that don't go with the loss.
    """
    recorded = (checkpoint.task if checkpoint else None) or USUAL_TASK
    loss = _named("loss", config.loss, recorded.loss, path)
    metric = _named("metric", config.metric, recorded.metric, path)
    mode = config.metric_mode or (recorded.metric_mode if config.metric in (None, recorded.metric) else None)
    own = isinstance(dataset, UserDataset)
    weights = dataset.class_weights if isinstance(dataset, UserDataset) else None
    numbers = not isinstance(dataset, UserDataset) or dataset.has_class_numbers
    if (loss, metric, mode) == ("cross_entropy", "accuracy", None) and numbers and weights is None:
        plain: Objective = Classification(label_smoothing)
        return Task(objective=Checked(plain, loss) if own else plain)
    found = _loss(loss, weights if weights is None else weights.to(device), label_smoothing)
    if isinstance(found, nn.Module):
        found = found.to(device)
    return dataclasses.replace(_judged(Checked(MeanLoss(found, loss), loss), metric, mode), loss=loss)


def try_out(task: Task, model: nn.Module, dataset: AnyDataset, device: torch.device) -> None:
    """Runs the network on a few samples of the user's own data. Raises UserCodeError if they don't go together."""
    if isinstance(dataset, UserDataset):
        rehearse(task, model, next(evaluation_batches(dataset.test, dataset, batch_size=FEW, device=device)))


def check_criterion(name: str, task: Task | None) -> None:
    """Raises UsageError for a criterion that looks at cross-entropy where another loss is what counts."""
    if task is not None and CRITERIA.get(name).needs_batches and task.loss != USUAL_TASK.loss:
        raise ArgumentError("criterion", name, f"it looks at cross-entropy, and the loss is {task.loss}; type another")


def _named(name: str, given: str | None, recorded: str, path: Path | None) -> str:
    if given is None and is_reference(recorded):
        raise UsageError(
            f"{path} was trained with {name} {recorded}: type {setting(name, recorded)}, or another `{name}`"
        )
    return given or recorded


def _loss(name: str, weights: torch.Tensor | None, label_smoothing: float) -> Loss:
    if not is_reference(name):
        spec = LOSSES.get(name)
        if label_smoothing and not spec.smooths_labels:
            raise ArgumentError("label_smoothing", label_smoothing, f"loss {name} has none; leave it out")
        if weights is not None and not spec.weighs_classes:
            raise ArgumentError(
                "loss", name, "it has no use for the class_weights of the data set; leave them out there"
            )
        return spec.build(weights, label_smoothing)
    if label_smoothing:
        raise ArgumentError("label_smoothing", label_smoothing, f"loss {name} is code of your own; leave it out")
    return own_loss(load_reference("loss", name))


def _judged(objective: Objective, name: str, mode: str | None) -> Task:
    if is_reference(name):
        own = load_reference("metric", name)
        running, higher = own_metric(own)
        label, is_share = own.name, False
    else:
        spec = METRICS.get(name)
        running = functools.partial(_running, spec)
        higher, label, is_share = spec.higher_is_better, spec.label, spec.is_share
    return Task(
        objective=objective,
        metric=name,
        label=label,
        running=running,
        higher_is_better=higher if mode is None else mode == "max",
        mode=mode,
        is_share=is_share,
    )


def _running(spec: MetricSpec) -> Running:
    if spec.gather is not None:
        return Gathered(spec.gather())
    if spec.score is None:
        raise UsageError("a metric has a function score, or a class gather")
    return MeanOverImages(spec.score)
