"""Cross-entropy of one class per image, or per pixel."""

import functools

import torch.nn.functional as F
from torch import Tensor

from netslim.training.losses.loss import LOSSES, Loss, LossSpec


def cross_entropy(weights: Tensor | None, smoothing: float) -> Loss:
    """Logits (N, C, ...) and class numbers (N, ...) -> the mean, weighted by class if there are weights."""
    return functools.partial(F.cross_entropy, weight=weights, label_smoothing=smoothing)


LOSSES.register("cross_entropy")(
    LossSpec(build=cross_entropy, summary="one class of several", weighs_classes=True, smooths_labels=True)
)
