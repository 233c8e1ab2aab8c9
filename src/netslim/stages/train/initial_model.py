"""The network that a phase of training begins with."""

import torch

from netslim.core.checkpoint import read_checkpoint
from netslim.core.errors import ArgumentError, CheckpointError, setting
from netslim.core.protocols import PrunableModel
from netslim.core.runs.seeding import seed_torch
from netslim.data import ImageDataset
from netslim.models import build, create_model
from netslim.network import load
from netslim.pruning import apply
from netslim.report.console import say
from netslim.stages.shared.architectures import fresh_model, is_library
from netslim.stages.train.config import TrainConfig
from netslim.training.optimizer import momentum_of, set_momentum_


def start_model(config: TrainConfig, dataset: ImageDataset) -> PrunableModel:
    """The network in the file of `refine` or `resume`, or a fresh one.

    Raises:
        UsageError: `refine` of a network that is not pruned, an unknown architecture or an impossible depth.
        CheckpointError: the file, or a network that is not what the command asks for.
    """
    if config.refine:
        model = load(config.refine)
        if model.plan is None and "cfg" not in model.arch.arguments:
            raise ArgumentError("refine", config.refine, "the network in it is not pruned; type `resume` for it")
        if config.reinitialize:
            reinitialize_(model, config.seed)
    elif config.resume:
        model = load(config.resume)
    else:
        seed_torch(config.seed, "init")
        shape = {"num_classes": dataset.num_classes, "in_channels": dataset.in_channels}
        return fresh_model(config.arch, config.depth, config.stem, **shape)
    _check(model, config, dataset)
    return model


def reinitialize_(model: PrunableModel, seed: int) -> None:
    """Gives a pruned network the weights of a new one of its shape; what its selections choose stays.

    They are those that `create_model` draws for this seed with these widths. Where no list of widths can be given (a
    library's network, coupled streams) they are those of the unpruned network, without the removed channels.
    """
    seed_torch(seed, "init")
    chosen = {key: value for key, value in model.state_dict().items() if key.endswith(".indexes")}
    model.load_state_dict({**_fresh_of_shape(model).state_dict(), **chosen})


def _fresh_of_shape(model: PrunableModel) -> PrunableModel:
    plan, arch = model.plan, model.arch
    if plan is None:
        return build(arch)
    if plan.traced or is_library(arch.name):
        return apply(build(arch), plan)
    return create_model(arch.name, **{**arch.arguments, "cfg": [*model.cfg]})


def _check(model: PrunableModel, config: TrainConfig, dataset: ImageDataset) -> None:
    origin, name, found = config.refine or config.resume, model.arch.name, model.arch.arguments
    for argument, wanted, hint in (
        ("depth", config.depth, f"type {setting('depth', found.get('depth'))}"),
        ("stem", config.stem, f"type {setting('stem', found.get('stem'))}"),
        ("num_classes", dataset.num_classes, f"{dataset.name} has {dataset.num_classes}"),
        ("in_channels", dataset.in_channels, f"{dataset.name} has {dataset.in_channels}"),
    ):
        if wanted is None or found.get(argument) == wanted:
            continue
        if argument not in found:
            here = f" (main.py: type {setting('arch', name)})" if argument == "depth" else ""
            raise CheckpointError(f"{origin} holds a {name}, which has no {argument}: leave `{argument}` out{here}")
        raise CheckpointError(f"{origin} holds a {name} with {argument} {found[argument]}, not {wanted}; {hint}")


def take_up_momentum_(config: TrainConfig, model: PrunableModel, optimizer: torch.optim.Optimizer) -> None:
    """Gives the optimizer the momentum that pruning carried over into the file of `refine`, if it did."""
    if config.refine is None or config.reinitialize or not config.momentum:
        return
    exported = read_checkpoint(config.refine).optimizer
    momentum = momentum_of(exported, model) if exported else {}
    if momentum:
        set_momentum_(optimizer, model, momentum)
        say(f"going on with the momentum that {config.refine} holds of the channels that stayed")
