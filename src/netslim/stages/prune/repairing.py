"""From settings to a repair: layers fitted on training images, or BatchNorm statistics of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import nn

from netslim.core.errors import NetslimError, UsageError, first_line
from netslim.core.networks.copies import copied
from netslim.core.networks.trees import Batch
from netslim.core.protocols import plan_of
from netslim.data import AnyDataset
from netslim.own_loop.repair import Repair, repair_
from netslim.pruning.resolve_plan import resolve
from netslim.report.console import say
from netslim.report.progress import LayersProgress
from netslim.stages.prune.config import PruneConfig
from netslim.stages.shared.calibration_data import some_training_images, training_images
from netslim.stages.shared.config import SEED

BATCHES = 20  # of training images, for BatchNorm statistics
IMAGES = 512  # to fit layers on


def check_repair(config: PruneConfig, dataset: AnyDataset | None) -> None:
    """Raises UsageError where images are asked for and are not there, or for two repairs that exclude each other."""
    for name in ("recalibrate", "reconstruct"):
        if dataset is None and getattr(config, name):
            raise UsageError(f"`{name}={getattr(config, name)}` needs training images; type `dataset=NAME`")
    check_one_repair(config)


def check_one_repair(config: PruneConfig) -> None:
    """Raises UsageError for two repairs that exclude each other."""
    if config.reconstruct and config.recalibrate:
        raise UsageError(f"`recalibrate={config.recalibrate}` and `reconstruct={config.reconstruct}`: one of the two")


def repaired(
    config: PruneConfig, dataset: AnyDataset | None, model: nn.Module, small: nn.Module, example: Batch
) -> tuple[nn.Module, Repair]:
    """The small network after its repair, and what was done. `small` itself may be changed, too.

    Layers are fitted by default where there are images and nothing is said of statistics. If that can't be done (too
    few images, too little memory), statistics are measured, and a line says why; if it was asked for, it is an error.
    """
    images = _images_to_fit(config, model, small)
    if dataset and images:
        fitted = small if config.reconstruct else copied(small)
        try:
            return fitted, _repair(config, dataset, model, fitted, example, some_training_images(dataset, images, SEED))
        except (NetslimError, torch.OutOfMemoryError) as error:
            if config.reconstruct:
                raise
            say(f"layers are not fitted, BatchNorm statistics are measured instead: {first_line(error)}")
    count = BATCHES if config.recalibrate is None else config.recalibrate
    batches = training_images(dataset, count, SEED) if dataset and count else []
    return small, _repair(config, dataset, model, small, example, batches, reconstruct=False)


def _images_to_fit(config: PruneConfig, model: nn.Module, small: nn.Module) -> int:
    """As asked for. By default none for detectors: most places of an image have nothing in them, and weigh as much."""
    if config.reconstruct is not None:
        return config.reconstruct
    plan = plan_of(small)
    decides = plan is not None and resolve(model, plan).decides
    return IMAGES if config.recalibrate is None and not decides else 0


def _repair(
    config: PruneConfig,
    dataset: AnyDataset | None,
    model: nn.Module,
    small: nn.Module,
    example: Batch,
    images: Sequence[Batch],
    *,
    reconstruct: bool = True,
) -> Repair:
    with LayersProgress("fitting layers") as shown:
        done = repair_(
            small,
            model,
            images,
            example=example,
            absorb=config.absorb,
            reconstruct=reconstruct,
            progress=shown.layer,
        )
    return dataclasses.replace(done, dataset=dataset.name if dataset else "")
