"""A network that gets smaller while it is trained: what the penalty has brought to zero goes between two epochs."""

from typing import Any

import torch
from torch import nn

from netslim.core.checkpoint import Checkpoint
from netslim.core.errors import ArgumentError, UsageError
from netslim.core.networks.scale_norms import scale_norms
from netslim.core.networks.trees import Batch
from netslim.core.processes.distributed import World
from netslim.core.protocols import plan_of
from netslim.network import describe
from netslim.pruning.optimizer_state import carry
from netslim.pruning.zero_channels import check_can_shrink, without_zeros
from netslim.stages.train.config import TrainConfig
from netslim.stages.train.files import TrainFiles
from netslim.training.optimizers.state import saved


def check_shrinking(config: TrainConfig) -> None:
    """Raises UsageError for settings that `prune_zeros` does not go with, before anything is opened."""
    if not config.prune_zeros:
        return
    if not config.sparsity_regularization or config.penalty != "proximal":
        raise _refused(
            "of all penalties proximal alone makes exact zeros, and is the same for the other scales without them: "
            "type `sparsity_regularization=True` and `penalty='proximal'` with it"
        )
    if config.penalty_weights != "equal":
        raise _refused(
            "weights are by what a channel frees of the whole network: leave them equal (`penalty_weights='equal'`)"
        )
    if config.capture == "compile":
        raise _refused("a compiled network can't get smaller: type `capture='auto'`")


def check_alone(config: TrainConfig, world: World) -> None:
    """Raises UsageError if several processes would have to cut the same."""
    if config.prune_zeros and world.size > 1:
        raise _refused(f"{world.size} processes train together, and one alone can cut: start it without torchrun")


class Shrinking:
    """Cuts, between two epochs, the channels whose scales came to zero.

    Args:
        model: the network that a phase, or what is left of it, begins with.
        example: an input of the data set's shape.
        files: the run's folder, which remembers how many scales there were when it began.

    Raises:
        UsageError: no channels of it can go, or it can't be proven that what is left computes the same.
    """

    def __init__(self, model: nn.Module, example: Batch, files: TrainFiles) -> None:
        self._example = example
        self._scales = files.remember("scales", lambda: _scales_of(model), default=_scales_of(model))
        self._size = check_can_shrink(model, example)

    @property
    def columns(self) -> dict[str, Any]:
        """What `metrics.jsonl` says of the network's size."""
        return {"channels": self._size.kept, "macs": self._size.after.macs}

    def gone(self, model: nn.Module) -> int:
        """How many scales fewer a network has than the one that the run began with."""
        return self._scales - _scales_of(model)

    def cut(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Checkpoint | None:
        """The network without what came to zero, with the optimizer's state of the rest; None where nothing did."""
        small = without_zeros(model, self._example)
        plan = plan_of(small)
        if small is model or plan is None:
            return None
        self._size = plan
        checkpoint = describe(small)
        checkpoint.optimizer = saved(carry(optimizer, model, small), small)
        return checkpoint


def _refused(why: str) -> UsageError:
    return ArgumentError("prune_zeros", True, why)


def _scales_of(model: nn.Module) -> int:
    return sum(norm.weight.numel() for norm in scale_norms(model).values())
