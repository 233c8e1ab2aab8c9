"""The network that a phase of training begins with."""

from netslim.core.errors import CheckpointError, UsageError
from netslim.core.protocols import PrunableModel
from netslim.core.seeding import seed_torch
from netslim.data import ImageDataset
from netslim.models import create_model
from netslim.network import load
from netslim.stages.configs import TrainConfig

DEFAULT_DEPTH = 164


def start_model(config: TrainConfig, dataset: ImageDataset) -> PrunableModel:
    """The network in the file of `--refine` or `--resume`, or a fresh one.

    Raises:
        UsageError: `--refine` of a network that is not pruned, an unknown architecture or an impossible depth.
        CheckpointError: the file, or a network that is not what the command asks for.
    """
    if config.refine:
        model = load(config.refine)
        if model.plan is None and "cfg" not in model.arch.arguments:
            raise UsageError(f"--refine {config.refine}: the network in it is not pruned; type --resume for it")
    elif config.resume:
        model = load(config.resume)
    else:
        seed_torch(config.seed, "init")
        return create_model(
            config.arch,
            depth=config.depth if config.depth is not None else DEFAULT_DEPTH,
            num_classes=dataset.num_classes,
            in_channels=dataset.in_channels,
        )
    _check(model, config, dataset)
    return model


def _check(model: PrunableModel, config: TrainConfig, dataset: ImageDataset) -> None:
    origin = config.refine or config.resume
    found = model.arch.arguments
    for name, wanted, hint in (
        ("depth", config.depth, f"type --depth {found.get('depth')}"),
        ("num_classes", dataset.num_classes, f"{dataset.name} has {dataset.num_classes}"),
        ("in_channels", dataset.in_channels, f"{dataset.name} has {dataset.in_channels}"),
    ):
        if wanted is not None and found.get(name) != wanted:
            raise CheckpointError(
                f"{origin} holds a {model.arch.name} with {name} {found.get(name)}, not {wanted}; {hint}"
            )
