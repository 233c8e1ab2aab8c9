"""SGD with momentum: the original's."""

import torch
from torch import nn

from netslim.training.optimizer import build_sgd
from netslim.training.optimizers.settings import OPTIMIZERS, OptimizerSettings, OptimizerSpec


def sgd(model: nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """See `netslim.training.optimizer.build_sgd`."""
    return build_sgd(
        model,
        lr=settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.nesterov,
        scale_decay=settings.scale_decay,
    )


OPTIMIZERS.register("sgd")(OptimizerSpec(build=sgd, summary="with momentum"))
