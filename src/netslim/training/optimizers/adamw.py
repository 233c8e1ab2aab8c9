"""AdamW (Loshchilov & Hutter 2019)."""

import torch
from torch import nn

from netslim.core.networks.torch_internals import PlainAdamW
from netslim.training.optimizer import parameter_groups
from netslim.training.optimizers.settings import OPTIMIZERS, OptimizerSettings, OptimizerSpec


def adamw(model: nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """torch's, with its defaults for the rest."""
    groups = parameter_groups(model, settings.scale_decay)
    return PlainAdamW(groups, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)


OPTIMIZERS.register("adamw")(
    OptimizerSpec(build=adamw, summary="Adam with decoupled weight decay", largest_usual_rate=0.01)
)
