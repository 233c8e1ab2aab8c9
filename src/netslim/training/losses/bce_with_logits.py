"""Binary cross-entropy of any number of classes at once."""

import torch.nn.functional as F
from torch import Tensor

from netslim.training.losses.loss import LOSSES, Loss, LossSpec


def bce_with_logits(weights: Tensor | None, _: float) -> Loss:
    """Logits and targets (0 or 1) of one shape -> the mean; the positives of a class count by its weight."""

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(outputs, targets.to(outputs.dtype), pos_weight=weights)

    return loss


LOSSES.register("bce_with_logits")(
    LossSpec(build=bce_with_logits, summary="several classes at once", weighs_classes=True)
)
