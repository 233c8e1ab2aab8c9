"""Adam (Kingma & Ba 2015)."""

import torch
from torch import nn

from netslim.core.networks.torch_internals import PlainAdam
from netslim.training.optimizer import parameter_groups
from netslim.training.optimizers.settings import OPTIMIZERS, OptimizerSettings, OptimizerSpec


def adam(model: nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """torch's, with its defaults for the rest."""
    groups = parameter_groups(model, settings.scale_decay)
    return PlainAdam(groups, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)


OPTIMIZERS.register("adam")(OptimizerSpec(build=adam, summary="adaptive step sizes", largest_usual_rate=0.01))
