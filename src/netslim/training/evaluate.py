"""Accuracy and loss of a network on a split."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netslim.core.errors import DataError
from netslim.core.networks.example import Inputs, TensorSpec
from netslim.core.networks.modes import evaluation_mode
from netslim.core.networks.running import running
from netslim.core.networks.trees import Batch, InputBatch, called, described
from netslim.core.processes.distributed import ALONE, World
from netslim.training.bn_statistics import batches_in
from netslim.training.class_numbers import unfit
from netslim.training.cuda_graphs import Graphs, Pair, Work

NONE_IGNORED = -(1 << 31)  # torch leaves out labels of -100 by default, and says nothing


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a network does on a split.

    Attributes:
        top1: share of the images whose largest logit is their class, 0 to 1.
        loss: mean cross-entropy.
        correct, images: counts.
    """

    top1: float
    loss: float
    correct: int
    images: int

    @property
    def value(self) -> float:
        """Of the metric: top-1."""
        return self.top1


def evaluate(
    model: nn.Module,
    batches: Iterable[tuple[Batch, Tensor]],
    *,
    between: Callable[[], None] | None = None,
    world: World = ALONE,
    graphs: Graphs | None = None,
) -> Evaluation:
    """Runs the network in eval mode, in the precision of its weights, over batches of normalised images and labels.

    Args:
        model: its mode is restored after.
        batches: (images (N, C, H, W), labels (N,)) on the model's device; several inputs stand in the images' place as
            a tuple, or a dictionary by their names.
        between: called after every batch; may raise to stop.
        world: processes that see a part of every batch each; the result is that of the whole.
        graphs: records the network, and replays it also in later calls: as long as its tensors are the same ones.

    Raises:
        DataError: there are no images, a batch is no pair of images and labels, or the outputs are no logits
            (N, classes) that the labels are class numbers of.
        UsageError: the network does not run on the images.

    >>> import torch, netslim
    >>> batches = [(torch.eye(2), torch.tensor([0, 0]))]
    >>> result = netslim.evaluate(torch.nn.Identity(), batches)  # images that are their own logits
    >>> result.top1, result.correct, result.images
    (0.5, 1, 2)
    """

    def act(inputs: Batch, labels: Tensor) -> Pair:
        logits = called(model, inputs)
        if wrong := unfit(logits, labels, values=False):  # a look at values would wait for a GPU
            raise DataError(wrong)
        try:
            loss = F.cross_entropy(logits.float(), labels, reduction="sum", ignore_index=NONE_IGNORED)
        except IndexError as error:
            raise DataError(unfit(logits, labels)) from error
        return loss, (logits.argmax(1) == labels).sum()

    work = Work(form=("evaluate", id(model)), act=act)
    loss = correct = torch.zeros(())
    images = 0
    with evaluation_mode(model), torch.inference_mode():
        for inputs, labels in map(_pair, batches_in(batches)):
            if graphs is None or not isinstance(inputs, Tensor):
                with running(model, Inputs.of(inputs).map(TensorSpec.of)):
                    found = act(inputs, labels)
            else:
                found = graphs.run(work, inputs, labels)
            loss, correct = loss + found[0], correct + found[1]  # on the device: nothing waits
            images += len(labels)
            if between is not None:
                between()
    total, right, count = world.sum(float(loss), float(correct), images)
    if not count:
        raise DataError("there are no images to evaluate on")
    return Evaluation(top1=right / count, loss=total / count, correct=int(right), images=int(count))


def _pair(batch: Any) -> tuple[Batch, Tensor]:
    """What the network takes, and labels."""
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise DataError(
            f"evaluate reads batches of (images, labels), and one is {described(batch)}: give evaluate(model, "
            f"[(images, labels), ...])"
        )
    inputs, labels = batch
    return inputs if isinstance(inputs, Tensor | InputBatch) else InputBatch.of(inputs), labels
