"""The mean squared error."""

import torch.nn.functional as F
from torch import Tensor

from netslim.training.losses.loss import LOSSES, Loss, LossSpec


def mse(_: Tensor | None, __: float) -> Loss:
    """Outputs and targets of one shape -> the mean of the squared differences."""

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        if outputs.shape != targets.shape:  # torch would broadcast (N, 1) and (N,) to (N, N), and learn nonsense
            raise ValueError("they are not of one shape")
        return F.mse_loss(outputs, targets.to(outputs.dtype))

    return loss


LOSSES.register("mse")(LossSpec(build=mse, summary="numbers"))
