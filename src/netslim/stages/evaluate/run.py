"""`netslim evaluate`: accuracy of a checkpoint."""

import math
from typing import Any

from netslim.core.checkpoint import read_checkpoint
from netslim.core.errors import ArgumentError, CheckpointError
from netslim.cost import measure
from netslim.data import evaluation_batches
from netslim.report.console import say
from netslim.stages.evaluate.config import EvaluateConfig
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
    device = pick_device(config.device)
    checkpoint = read_checkpoint(config.model)
    model = open_network(checkpoint, config.model, config.arch, config.arch_args).to(device)
    name = required_dataset(config.dataset, checkpoint, config.model)
    dataset = open_any(name, config, checkpoint.dataset)
    check_fits(model, dataset, str(config.model))
    task = task_of(config, dataset, checkpoint, config.model, device=device)
    try_out(task, model, dataset, device)
    split = dataset.test if config.split == "test" else dataset.train
    batches = evaluation_batches(split, dataset, batch_size=config.test_batch_size, device=device)
    found = task.evaluate(model, batches)
    if not math.isfinite(found.loss):
        raise CheckpointError(
            f"{config.model} holds a network whose loss on {name} is {found.loss}: its accuracy means nothing"
        )
    cost = measure(model, example_of(dataset).to(device))
    counted = f"{found.correct}/{found.images}" if isinstance(found, Evaluation) else f"{found.images} images"
    say(
        f"{name} {config.split}: {task.label} {task.shown(found.value)} ({counted}), loss {found.loss:.4f}; "
        f"{cost.params:,} parameters, {cost.macs:,} MACs"
    )
    return {
        "model": str(config.model),
        "dataset": name,
        "split": config.split,
        **_judged(task, found),
        "params": cost.params,
        "macs": cost.macs,
    }


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
