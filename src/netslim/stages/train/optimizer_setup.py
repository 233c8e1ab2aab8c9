"""The optimizer of a phase, netslim's or the user's own."""

import warnings

import torch
from torch import nn

from netslim.core.errors import ArgumentError, NetslimWarning, setting
from netslim.core.plugins.references import is_reference, load_reference
from netslim.core.schemas import USUAL_TASK
from netslim.stages.train.config import TrainConfig
from netslim.training.optimizer import has_step_sizes
from netslim.training.optimizers import OPTIMIZERS, OptimizerSettings
from netslim.training.optimizers.settings import own_optimizer
from netslim.training.penalties import PENALTIES, Penalty


def check_optimizer(config: TrainConfig) -> None:
    """Raises UsageError for an unknown optimizer, or settings of another one; warns of a rate that is SGD's."""
    if config.optimizer != "sgd":
        config.refuse(
            ("momentum", "nesterov"), f"it is SGD's, and {setting('optimizer', config.optimizer)}: leave it out"
        )
    if is_reference(config.optimizer):
        load_reference("optimizer", config.optimizer)
        return
    usual = OPTIMIZERS.get(config.optimizer).largest_usual_rate
    if usual is not None and config.lr > usual:
        warnings.warn(
            f"`lr={config.lr:g}` is much for {config.optimizer}, whose usual rates are 0.0001 to {usual:g}",
            NetslimWarning,
            stacklevel=2,
        )


def build_optimizer(config: TrainConfig, model: nn.Module, penalty: Penalty) -> torch.optim.Optimizer:
    """The optimizer of a network's parameters.

    Raises:
        UsageError: the user's code gives no optimizer, or one whose step sizes the penalty would have to know.
        UserCodeError: the user's code raises something.
    """
    settings = OptimizerSettings(
        lr=config.lr,
        weight_decay=config.weight_decay,
        scale_decay=decays_scales(config),
        momentum=config.momentum,
        nesterov=config.nesterov,
    )
    if not is_reference(config.optimizer):
        return OPTIMIZERS.get(config.optimizer).build(model, settings)
    optimizer = own_optimizer(load_reference("optimizer", config.optimizer), model, settings)
    if penalty.shrinks and not has_step_sizes(optimizer):
        raise ArgumentError(
            "optimizer",
            config.optimizer,
            f"penalty {config.penalty} shrinks by the optimizer's step sizes, and those of "
            f"{type(optimizer).__name__} are not known: type `penalty='l1'`",
        )
    return optimizer


def decays_scales(config: TrainConfig) -> bool:
    """Whether weight decay is on BatchNorm scales, too: as in the original, unless the penalty is another one."""
    if config.scale_decay is not None:
        return config.scale_decay
    return not config.sparsity_regularization or PENALTIES.get(config.penalty).decays_scales


def is_own(config: TrainConfig) -> bool:
    """Whether something in a step may be what netslim does not know, so that it can't be recorded."""
    usual = (config.loss, config.metric, config.optimizer) == (USUAL_TASK.loss, USUAL_TASK.metric, "sgd")
    return not usual or is_reference(config.dataset) or is_reference(config.arch)
