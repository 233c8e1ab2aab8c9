"""Whether network, data, loss and metric go together, found out on one batch before anything is written."""

import math
from typing import Any

import torch
from torch import nn

from netslim.core.errors import UserCodeError
from netslim.core.networks.modes import evaluation_mode
from netslim.core.networks.trees import InputBatch, called, described, in_single
from netslim.core.plugins.references import user_code
from netslim.core.processes.distributed import ALONE
from netslim.training.class_numbers import unfit
from netslim.training.metrics.running import MeanOverImages
from netslim.training.tasks.objective import Checked, Classification
from netslim.training.tasks.task import Task


def judge(task: Task, model: nn.Module, batch: tuple[Any, Any]) -> tuple[Any, float]:
    """The outputs of the network in eval mode for a batch, and their loss, summed; the network is left as it was.

    Raises:
        UserCodeError: something raises, the labels don't fit the outputs, the loss is no scalar or has no gradient.
    """
    images, targets = batch
    learns = any(parameter.requires_grad for parameter in model.parameters())
    with evaluation_mode(model), torch.set_grad_enabled(learns):
        what = "inputs" if isinstance(images, InputBatch) else "images"
        with user_code(f"the network can't take {what} {described(images)}"):
            outputs = in_single(called(model, images))
        _check_classes(task, outputs, targets)
        return outputs, float(task.objective(outputs, targets, len(images))[0].detach())


def rehearse(task: Task, model: nn.Module, batch: tuple[Any, Any]) -> None:
    """Runs the network in eval mode on a batch, with loss and metric; the network is left as it was.

    Raises:
        UserCodeError: as `judge`; or the loss or the metric is no number.
    """
    (images, targets), (outputs, loss) = batch, judge(task, model, batch)
    if not math.isfinite(loss):
        raise UserCodeError(f"the loss of the first batch is {loss}, of outputs {described(outputs)}")
    if task.running is not None:
        running = task.running()
        with torch.no_grad(), fitting_metric(task, outputs, targets):
            running.update(outputs, targets, len(images))
            value = float(running.result(ALONE))
        if isinstance(running, MeanOverImages) and not math.isfinite(value):  # what gathers may need more than a batch
            raise UserCodeError(f"metric {task.metric}: it is {value} for the first batch, and judges nothing")


def fitting_metric(task: Task, outputs: Any, targets: Any) -> Any:
    """See `netslim.training.tasks.objective.fitting`."""
    return user_code(f"metric {task.metric}, outputs {described(outputs)} and labels {described(targets)}")


def _check_classes(task: Task, outputs: Any, targets: Any) -> None:
    """Class numbers must be outputs of the network; on a GPU torch would end the process for one that is none."""
    inner = task.objective.inner if isinstance(task.objective, Checked) else task.objective
    if not isinstance(inner, Classification):
        return
    if wrong := unfit(outputs, targets):
        raise UserCodeError(wrong)
