"""Accuracy and loss of a network on a split."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netslim.core.distributed import ALONE, World
from netslim.core.errors import DataError
from netslim.core.modes import evaluation_mode


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


def evaluate(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    between: Callable[[], None] | None = None,
    world: World = ALONE,
) -> Evaluation:
    """Runs the network in eval mode, in the precision of its weights, over batches of normalised images and labels.

    Args:
        model: its mode is restored after.
        batches: (images (N, C, H, W), labels (N,)) on the model's device.
        between: called after every batch; may raise to stop.
        world: processes that see a part of every batch each; the result is that of the whole.

    Raises:
        DataError: there are no images.
    """
    loss = correct = torch.zeros(())
    images = 0
    with evaluation_mode(model), torch.inference_mode():
        for inputs, labels in batches:
            logits = model(inputs).float()
            loss = loss + F.cross_entropy(logits, labels, reduction="sum").cpu()
            correct = correct + (logits.argmax(1) == labels).sum().cpu()
            images += len(labels)
            if between is not None:
                between()
    total, right, count = world.sum(float(loss), float(correct), images)
    if not count:
        raise DataError("there are no images to evaluate on")
    return Evaluation(top1=right / count, loss=total / count, correct=int(right), images=int(count))
