"""The optimizer's momentum between a training, the pruning and the fine-tuning after it."""

from __future__ import annotations

from typing import Any

from netslim.core.checkpoint import Checkpoint
from netslim.core.errors import CheckpointError
from netslim.core.protocols import PrunableModel, plan_of
from netslim.pruning.optimizer_state import carried
from netslim.report.console import say
from netslim.stages.prune.config import PruneConfig


def carried_optimizer(
    config: PruneConfig, checkpoint: Checkpoint, model: PrunableModel, small: PrunableModel
) -> dict[str, Any] | None:
    """The optimizer's state for the pruned network's file, if there is momentum in the file of `model`."""
    plan = plan_of(small)
    if not config.carry_momentum or checkpoint.optimizer is None or plan is None:
        return None
    from netslim.training.optimizer import momentum_of, with_momentum  # only a file with momentum needs it

    try:
        momentum = momentum_of(checkpoint.optimizer, model)
    except CheckpointError as error:
        say(f"no momentum is carried over: {error}")
        return None
    if not momentum:
        return None
    say("the momentum of what stays goes into the file, for the fine-tuning (`carry_momentum=False`: not)")
    return with_momentum(checkpoint.optimizer, small, carried(momentum, model, plan))
