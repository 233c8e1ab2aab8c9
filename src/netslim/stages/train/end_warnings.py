"""What is wrong with a training that has come to its end."""

import warnings

from torch import nn

from netslim.core.errors import NetslimWarning, setting
from netslim.report.tables import percent
from netslim.stages.train.config import TrainConfig
from netslim.training.tasks.task import Task

SCALE = 0.5  # of a BatchNorm at its start
OLD = 0.05  # of running statistics may be older than the training


def warn_of_training(
    config: TrainConfig, model: nn.Module, task: Task, best: float, classes: int | None, steps: int
) -> None:
    """Both warnings of this file, of a training of so many steps of the optimizer."""
    warn_of_guessing(config, task, best, classes, steps)
    warn_of_lag(model, steps * config.accumulate)


def warn_of_guessing(config: TrainConfig, task: Task, best: float, classes: int | None, steps: int) -> None:
    """Warns if a network is right hardly more often than by guessing, and the penalty was strong enough to do that.

    Args:
        config: of the training.
        task: what the network is for.
        best: share of right answers of the chosen epoch.
        classes: their number.
        steps: of the optimizer in all; so many can bring a scale from its start to zero, or they can't.
    """
    if not (config.sparsity_regularization and task.is_top1 and classes):
        return
    guessed = 1 / classes
    reach = config.lr * config.s * steps / (1 - min(config.momentum, 0.99))
    if reach < SCALE or best > guessed * (1.5 - guessed / 2):
        return
    warnings.warn(
        f"under the penalty of {setting('s', config.s)} the network has learnt nothing: {percent(best)} on the "
        f"{config.select_on} set, and guessing among {classes:,} classes has {percent(guessed)}; type a smaller "
        f"`s`, more `epochs`, or `resume=FILE` with a trained network",
        NetslimWarning,
        stacklevel=2,
    )


def warn_of_lag(model: nn.Module, batches: int) -> None:
    """Warns of too few batches: running statistics of BatchNorms lag behind the weights that are judged with them."""
    norms = [each for each in model.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)]
    shares = [each.momentum for each in norms if each.momentum is not None and each.running_mean is not None]
    share = min(shares, default=1.0)
    if (1 - share) ** batches <= OLD:
        return
    warnings.warn(
        f"{batches:,} batch{'es are' if batches != 1 else ' is'} too few for BatchNorms' running statistics, which "
        f"take {100 * share:g} % of each: they lag behind the weights, and the accuracy with them; type more "
        f"`epochs` or a smaller `batch_size`",
        NetslimWarning,
        stacklevel=2,
    )
