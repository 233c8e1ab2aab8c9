"""A step on one batch, before anything is written: what the user's own code can't do is found out here."""

from typing import Any

from torch import nn

from netslim.core.errors import UserCodeError
from netslim.core.networks.copies import copied
from netslim.core.plugins.references import user_code
from netslim.data import AnyDataset, evaluation_batches
from netslim.stages.shared.tasks import FEW
from netslim.stages.train.config import TrainConfig
from netslim.stages.train.optimizer_setup import build_optimizer
from netslim.stages.train.splits import Splits
from netslim.stages.train.step_setup import build_penalty
from netslim.training.precision import Precision
from netslim.training.step import TrainStep
from netslim.training.tasks.rehearsal import judge, rehearse
from netslim.training.tasks.task import Task


def rehearse_phase(
    config: TrainConfig, model: nn.Module, task: Task, dataset: AnyDataset, batch: tuple[Any, Any], splits: Splits
) -> None:
    """Judges a batch, and a few samples that are judged later; takes a step of training on a copy of the network.

    The network is left as it was.

    Raises:
        UsageError: the optimizer or the penalty has nothing to do with the network.
        UserCodeError: something raises, or what is there does not go together.
    """
    rehearse(task, model, batch)
    held_out = {"held-out": splits.select} if config.select_on == "val" else {}
    for name, split in {**held_out, "test": splits.test}.items():
        few, size = split.part(slice(FEW)), min(FEW, config.test_batch_size)
        later = next(evaluation_batches(few, dataset, batch_size=size, device=batch[0].device))
        try:
            judge(task, model, later)
        except UserCodeError as error:
            raise UserCodeError(f"the first {name} images: {error}") from error
    trial = copied(model).train()
    if not any(parameter.requires_grad for parameter in trial.parameters()):
        raise UserCodeError("the network has no parameter that learns (requires_grad)")
    penalty = build_penalty(config, trial, dataset)
    optimizer = build_optimizer(config, trial, penalty)
    step = TrainStep(trial, optimizer, precision=Precision(), penalty=penalty, objective=task.objective)
    with user_code("a step of training"):
        step(*batch)
    if all(parameter.grad is None for parameter in trial.parameters()):
        raise UserCodeError(f"loss {task.loss}: it does not depend on what the network gives")
