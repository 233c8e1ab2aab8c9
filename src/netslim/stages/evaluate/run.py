"""`netslim evaluate`: accuracy of a checkpoint, or of an ONNX file."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.errors import ArgumentError, CheckpointError
from netslim.cost import measure
from netslim.data import AnyDataset, evaluation_batches
from netslim.models.onnx_import import is_onnx
from netslim.network import read
from netslim.report.console import say
from netslim.stages.evaluate.config import EvaluateConfig
from netslim.stages.evaluate.normalization import as_taken
from netslim.stages.evaluate.onnx_file import cost_of, open_onnx
from netslim.stages.shared.datasets import check_fits, open_any, required_dataset
from netslim.stages.shared.devices import pick_device
from netslim.stages.shared.example_input import example_of
from netslim.stages.shared.networks import open_network
from netslim.stages.shared.tasks import check_task, task_of, try_out
from netslim.training.evaluate import Evaluation
from netslim.training.tasks.task import Found, Task


def run(config: EvaluateConfig) -> dict[str, Any]:
    """Evaluates the network in a file on a split.

    Raises:
        UsageError: an unknown split, or no data set named in the file or by the user.
        CheckpointError: the file, or a network for other images or classes.
        DataError: the data set.
    """
    if config.split not in ("train", "test"):
        raise ArgumentError("split", config.split, "type train or test")
    check_task(config)
    opened = _of_onnx(config) if is_onnx(config.model) else _of_checkpoint(config)
    model, dataset, name, task, device = opened.model, opened.dataset, opened.name, opened.task, opened.device
    split = dataset.test if config.split == "test" else dataset.train
    batches = evaluation_batches(split, dataset, batch_size=config.test_batch_size, device=device)
    found = task.evaluate(model, batches)
    if not math.isfinite(found.loss):
        raise CheckpointError(
            f"{config.model} holds a network whose loss on {name} is {found.loss}: its accuracy means nothing"
        )
    cost = opened.cost
    counted = f"{found.correct}/{found.images}" if isinstance(found, Evaluation) else f"{found.images} images"
    sizes = f"; {cost['params']:,} parameters, {cost['macs']:,} MACs" if cost["params"] and cost["macs"] else ""
    say(f"{name} {config.split}: {task.label} {task.shown(found.value)} ({counted}), loss {found.loss:.4f}{sizes}")
    return {
        "model": str(config.model),
        "dataset": name,
        "split": config.split,
        **_judged(task, found),
        **cost,
    }


@dataclass(frozen=True, kw_only=True, eq=False)
class _Opened:
    """A network, what judges it, and what it costs for one image."""

    model: nn.Module
    dataset: AnyDataset
    name: str
    task: Task
    device: torch.device
    cost: Mapping[str, int | None]


def _of_checkpoint(config: EvaluateConfig) -> _Opened:
    device = pick_device(config.device)
    checkpoint = read(config.model)
    model = open_network(checkpoint, config.model, config.arch, config.arch_args).to(device)
    name = required_dataset(config.dataset, checkpoint, config.model)
    dataset = as_taken(open_any(name, config, checkpoint.dataset), config, checkpoint.dataset)
    check_fits(model, dataset, str(config.model))
    task = task_of(config, dataset, checkpoint, config.model, device=device)
    try_out(task, model, dataset, device)
    cost = measure(model, example_of(dataset).to(device))
    return _Opened(
        model=model,
        dataset=dataset,
        name=name,
        task=task,
        device=device,
        cost={"params": cost.params, "macs": cost.macs},
    )


def _of_onnx(config: EvaluateConfig) -> _Opened:
    network, dataset, name = open_onnx(config)
    device, task = torch.device("cpu"), task_of(config, dataset)
    try_out(task, network, dataset, device)
    example = example_of(dataset)
    cost = cost_of(network, config, example) if isinstance(example, Tensor) else {"params": None, "macs": None}
    return _Opened(model=network, dataset=dataset, name=name, task=task, device=device, cost=cost)


def _judged(task: Task, found: Evaluation | Found) -> dict[str, Any]:
    if isinstance(found, Evaluation):
        return {"top1": found.top1, "loss": found.loss, "correct": found.correct, "images": found.images}
    shown = {"label": task.label, "test": task.shown(found.value)}
    return {
        "metric_name": task.metric,
        "metric": found.value,
        "shown": shown,
        "loss": found.loss,
        "images": found.images,
    }
