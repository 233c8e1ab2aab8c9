"""The optimizer's momentum between a training, the pruning and the fine-tuning after it."""

from __future__ import annotations

from typing import Any

from torch import nn

from netslim.core.checkpoint import Checkpoint
from netslim.core.errors import CheckpointError, UsageError
from netslim.core.protocols import PrunePlan, plan_of
from netslim.pruning.optimizer_state import carried
from netslim.report.console import say
from netslim.stages.prune.config import PruneConfig


def carried_optimizer(
    config: PruneConfig, checkpoint: Checkpoint, model: nn.Module, small: nn.Module
) -> dict[str, Any] | None:
    """The optimizer's state for the pruned network's file, if there is momentum in the file of `model`."""
    plan = plan_of(small)
    if not config.carry_momentum or checkpoint.optimizer is None or plan is None:
        return None
    from netslim.training.optimizers.state import is_sgds  # only a file with momentum needs it

    carry = _sgds if is_sgds(checkpoint.optimizer) else _others
    try:
        found = carry(checkpoint.optimizer, model, small, plan)
    except (CheckpointError, UsageError) as error:
        say(f"no momentum is carried over: {error}")
        return None
    if found is not None:
        say("the momentum of what stays goes into the file, for the fine-tuning (`carry_momentum=False`: not)")
    return found


def _sgds(exported: dict[str, Any], model: nn.Module, small: nn.Module, plan: PrunePlan) -> dict[str, Any] | None:
    from netslim.training.optimizer import momentum_of, with_momentum

    momentum = momentum_of(exported, model)
    return with_momentum(exported, small, carried(momentum, model, plan)) if momentum else None


def _others(exported: dict[str, Any], model: nn.Module, small: nn.Module, plan: PrunePlan) -> dict[str, Any] | None:
    """What any optimizer remembers of each weight, cut as the weights are; the rest (numbers of steps) stays."""
    from netslim.training.optimizers.state import per_weight, states_in, with_states

    states = states_in(exported, model)
    if not states:
        return None
    kinds = {kind: carried(tensors, model, plan) for kind, tensors in per_weight(states, model).items()}
    left = {name for name, _ in small.named_parameters()} & states.keys()
    cut = {name: {**states[name], **{kind: of[name] for kind, of in kinds.items() if name in of}} for name in left}
    return with_states(exported, small, cut)
