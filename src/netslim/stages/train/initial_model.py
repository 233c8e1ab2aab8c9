"""The network that a phase of training begins with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from netslim.core.checkpoint import Checkpoint
from netslim.core.errors import ArgumentError, CheckpointError, UsageError, setting
from netslim.core.plugins.references import is_reference, load_reference
from netslim.core.protocols import PrunableModel, plan_of
from netslim.core.runs.seeding import seed_torch
from netslim.data import AnyDataset
from netslim.models import build, create_model
from netslim.models.own import arch_of, own_network
from netslim.network import read
from netslim.pruning import apply
from netslim.report.console import say
from netslim.stages.shared.architectures import is_library
from netslim.stages.shared.datasets import normalization_of
from netslim.stages.shared.networks import arguments_of, name_of, new_network, sound_network
from netslim.stages.train.config import TrainConfig
from netslim.stages.train.messages import other_images
from netslim.training.optimizer import momentum_of, set_momentum_
from netslim.training.optimizers.state import is_sgds, restored_


@dataclass(frozen=True)
class Start:
    """The file of `refine` or `resume`, and what it holds, read once; both None for a phase that starts from none.

    Attributes:
        path: of the file.
        checkpoint: in it.
        learnt: whether its weights are taken, not its shape alone.
    """

    path: Path | None
    checkpoint: Checkpoint | None
    learnt: bool

    @classmethod
    def of(cls, config: TrainConfig) -> Self:
        """Reads the file. Raises CheckpointError for one that is no checkpoint."""
        path = config.refine or config.resume
        return cls(path, None if path is None else read(path), learnt=not config.reinitialize)

    @property
    def normalization(self) -> dict[str, Any] | None:
        """How the images were normalised that the weights learnt from."""
        return normalization_of(self.checkpoint.dataset) if self.checkpoint and self.learnt else None

    def say_what_changes(self, config: TrainConfig, dataset: AnyDataset) -> None:
        """One line where its network learnt from other images: its weights are taken, and nothing else."""
        changes = other_images(self.checkpoint, dataset, config) if self.checkpoint and self.learnt else ""
        if changes:
            say(f"{self.path} gives its weights alone; the images are others: {changes}")


def start_model(config: TrainConfig, dataset: AnyDataset, start: Start) -> nn.Module:
    """The network that a phase starts from, or a fresh one.

    Raises:
        UsageError: `refine` of a network that is not pruned, an unknown architecture or an impossible depth.
        CheckpointError: a network that is not what the command asks for.
    """
    if start.path is None or start.checkpoint is None:
        seed_torch(config.seed, "init")
        if dataset.num_classes is None and not is_reference(config.arch):
            raise UsageError(
                f"{dataset.name} does not say num_classes, the outputs of {config.arch}: return it there, or type "
                f"`arch='FILE.py:NAME'`"
            )
        shape = {"num_classes": dataset.num_classes, "in_channels": dataset.in_channels}
        return new_network(config.arch, config.arch_args, config.depth, config.stem, **shape)
    model = sound_network(start.checkpoint, start.path, config.arch, config.arch_args).eval()
    if config.refine and plan_of(model) is None and "cfg" not in arguments_of(model):
        raise ArgumentError("refine", config.refine, "the network in it is not pruned; type `resume` for it")
    if config.reinitialize:
        reinitialize_(model, config.seed)
    _check(model, config, dataset)
    return model


def reinitialize_(model: nn.Module, seed: int) -> None:
    """Gives a pruned network the weights of a new one of its shape; what its selections choose stays.

    They are those that `create_model` draws for this seed with these widths. Where no list of widths can be given (a
    library's network, coupled streams) they are those of the unpruned network, without the removed channels.
    """
    seed_torch(seed, "init")
    chosen = {key: value for key, value in model.state_dict().items() if key.endswith(".indexes")}
    model.load_state_dict({**_fresh_of_shape(model).state_dict(), **chosen})


def _fresh_of_shape(model: nn.Module) -> nn.Module:
    plan, arch = plan_of(model), arch_of(model)
    if arch is not None and is_reference(arch.name):  # it was named on the command line, or it would not be here
        unpruned = own_network(load_reference("arch", arch.name), arch.arguments)
        return unpruned if plan is None else apply(unpruned, plan)
    if arch is None or not isinstance(model, PrunableModel):
        raise UsageError("`reinitialize=True` needs a network that netslim can build")
    if plan is None:
        return build(arch)
    if plan.traced or is_library(arch.name):
        return apply(build(arch), plan)
    return create_model(arch.name, **{**arch.arguments, "cfg": [*model.cfg]})


def _check(model: nn.Module, config: TrainConfig, dataset: AnyDataset) -> None:
    origin, name, found = config.refine or config.resume, name_of(model), arguments_of(model)
    for argument, wanted, hint in (
        ("depth", config.depth, f"type {setting('depth', found.get('depth'))}"),
        ("stem", config.stem, f"type {setting('stem', found.get('stem'))}"),
        ("num_classes", dataset.num_classes, f"{dataset.name} has {dataset.num_classes}"),
        ("in_channels", dataset.in_channels, f"{dataset.name} has {dataset.in_channels}"),
    ):
        if wanted is None or found.get(argument) == wanted:
            continue
        if argument not in found and is_reference(name):  # only its author knows what it takes
            continue
        if argument not in found:
            here = f" (main.py: type {setting('arch', name)})" if argument == "depth" else ""
            raise CheckpointError(f"{origin} holds a {name}, which has no {argument}: leave `{argument}` out{here}")
        raise CheckpointError(f"{origin} holds a {name} with {argument} {found[argument]}, not {wanted}; {hint}")


def take_up_momentum_(config: TrainConfig, start: Start, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Gives the optimizer the momentum that pruning carried over into the file of `refine`, if it did."""
    checkpoint = start.checkpoint
    if checkpoint is None or config.refine is None or not start.learnt:
        return
    exported, there = checkpoint.optimizer or {}, checkpoint.training.get("optimizer", "sgd")
    if not exported.get("state"):
        return
    if there != config.optimizer:
        say(f"the state of optimizer {there} in {config.refine} is not for {config.optimizer}, which starts anew")
        return
    if is_sgds(exported):
        momentum = momentum_of(exported, model) if config.momentum else {}
        if not momentum:
            return
        set_momentum_(optimizer, model, momentum)
    else:
        restored_(optimizer, model, exported)
    say(f"going on with the momentum that {config.refine} holds of the channels that stayed")
