"""`netslim evaluate`: accuracy of a checkpoint."""

import math
from typing import Any

import torch

from netslim.core.checkpoint import read_checkpoint
from netslim.core.errors import ArgumentError, CheckpointError
from netslim.cost import measure
from netslim.data import evaluation_batches
from netslim.network import restore
from netslim.report.console import say
from netslim.report.tables import percent
from netslim.stages.evaluate.config import EvaluateConfig
from netslim.stages.shared.datasets import check_fits, open_dataset, required_dataset
from netslim.stages.shared.devices import pick_device
from netslim.training.evaluate import evaluate


def run(config: EvaluateConfig) -> dict[str, Any]:
    """Evaluates the network in a file on a split.

    Raises:
        UsageError: an unknown split, or no data set named in the file or by the user.
        CheckpointError: the file, or a network for other images or classes.
        DataError: the data set.
    """
    if config.split not in ("train", "test"):
        raise ArgumentError("split", config.split, "type train or test")
    device = pick_device(config.device)
    checkpoint = read_checkpoint(config.model)
    model = restore(checkpoint, config.model).to(device)
    name = required_dataset(config.dataset, checkpoint, config.model)
    dataset = open_dataset(name, config, checkpoint.dataset)
    check_fits(model, dataset, str(config.model))
    split = dataset.test if config.split == "test" else dataset.train
    batches = evaluation_batches(split, dataset, batch_size=config.test_batch_size, device=device)
    found = evaluate(model, batches)
    if not math.isfinite(found.loss):
        raise CheckpointError(
            f"{config.model} holds a network whose loss on {name} is {found.loss}: its accuracy means nothing"
        )
    cost = measure(model, torch.zeros(1, *split.images.shape[1:], device=device))
    say(
        f"{name} {config.split}: top-1 {percent(found.top1)} ({found.correct}/{found.images}), loss {found.loss:.4f}; "
        f"{cost.params:,} parameters, {cost.macs:,} MACs"
    )
    return {
        "model": str(config.model),
        "dataset": name,
        "split": config.split,
        "top1": found.top1,
        "loss": found.loss,
        "correct": found.correct,
        "images": found.images,
        "params": cost.params,
        "macs": cost.macs,
    }
