"""A loss and a metric that belong together, and what a network does under them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.errors import DataError, UserCodeError
from netslim.core.networks.modes import evaluation_mode
from netslim.core.networks.trees import called, in_single
from netslim.core.plugins.references import user_code
from netslim.core.processes.distributed import ALONE, World
from netslim.training.cuda_graphs import Graphs
from netslim.training.evaluate import Evaluation, evaluate
from netslim.training.metrics.running import Gathered, Running
from netslim.training.tasks.objective import Classification, Objective, fitting


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a network does on a split.

    Attributes:
        value: of the metric.
        loss: mean over the images.
        images: their number.
    """

    value: float
    loss: float
    images: int


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a network is for.

    Attributes:
        objective: the loss that trains it.
        loss: its name, for messages.
        metric: its name: as registered, or the reference to the user's own.
        label: how it is called in lines and tables.
        running: starts to measure it; None: top-1, counted beside the cross-entropy, as in the original.
        higher_is_better: which of two networks is better.
        mode: "max" or "min" where the user said which is better.
        is_share: whether the metric lies between 0 and 1 and is shown in percent.
    """

    objective: Objective
    loss: str = "cross_entropy"
    metric: str = "accuracy"
    label: str = "top-1"
    running: Callable[[], Running] | None = None
    higher_is_better: bool = True
    mode: str | None = None
    is_share: bool = True

    @property
    def is_top1(self) -> bool:
        """Whether the metric is counted beside the loss, and of training batches, too."""
        return self.running is None

    @property
    def sees_everything(self) -> bool:
        """Whether the metric of several processes is not the mean of theirs: each has to see all batches."""
        return self.running is not None and isinstance(self.running(), Gathered)

    def key(self, which: str = "") -> str:
        """How it is called in data: `top1`, `metric_masked`."""
        name = "top1" if self.is_top1 else "metric"
        return f"{name}_{which}" if which else name

    def better(self, value: float, best: float) -> bool:
        """Whether a value is better than the best so far."""
        return value > best if self.higher_is_better else value < best

    def shown(self, value: float, digits: int = 2) -> str:
        """The value as lines and tables have it."""
        return f"{100 * value:.{digits}f} %" if self.is_share else f"{value:.4g}"

    def evaluate(
        self,
        model: nn.Module,
        batches: Iterable[tuple[Any, Any]],
        *,
        between: Callable[[], None] | None = None,
        world: World = ALONE,
        graphs: Graphs | None = None,
    ) -> Evaluation | Found:
        """What the network does, in eval mode; for the arguments see `netslim.evaluate`.

        Raises:
            DataError: there are no images.
            UserCodeError: loss or metric can't take the network's outputs, or the metric is no finite number.
        """
        if self.running is None:
            return evaluate(model, batches, between=between, world=world, graphs=graphs)
        running, loss, images = self.running(), torch.zeros(()), 0
        with evaluation_mode(model), torch.inference_mode():
            for inputs, targets in batches:
                loss = loss + self.take(running, called(model, inputs), targets, len(inputs))
                images += len(inputs)
                if between is not None:
                    between()
        total, count = world.sum(float(loss), images)
        if not count:
            raise DataError("there are no images to evaluate on")
        with user_code(f"metric {self.metric}"):
            value = running.result(world)
        if not math.isfinite(value):
            raise UserCodeError(f"metric {self.metric}: it is {value} over {int(count):,} images, and judges nothing")
        return Found(value=value, loss=total / count, images=int(count))

    def take(self, running: Running, outputs: Any, targets: Any, images: int) -> Tensor:
        """Takes a batch's outputs into the metric; returns the loss, summed over the images."""
        outputs = in_single(outputs)
        loss = self.objective(outputs, targets, images)[0].detach()
        with fitting(f"metric {self.metric}", outputs, targets):
            running.update(outputs, targets, images)
        return loss


CLASSIFICATION = Task(objective=Classification())
