"""Cross-entropy of one class per image, or per pixel."""

import torch.nn.functional as F
from torch import Tensor

from netslim.training.losses.loss import LOSSES, Loss, LossSpec


def cross_entropy(weights: Tensor | None, smoothing: float) -> Loss:
    """Logits (N, C, ...) and class numbers (N, ...) -> the mean, weighted by class if there are weights."""

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        if outputs.shape[1:2] == (1,):  # always 0, whatever the label
            raise ValueError("one output is no choice between classes")
        return F.cross_entropy(outputs, targets, weight=weights, label_smoothing=smoothing)

    return loss


LOSSES.register("cross_entropy")(
    LossSpec(build=cross_entropy, summary="one class of several", weighs_classes=True, smooths_labels=True)
)
