"""Which images a phase trains on, chooses by, and reports."""

import warnings
from dataclasses import dataclass

import torch

from netslim.core.errors import NetslimWarning
from netslim.core.schemas import USUAL_TASK
from netslim.data import AnyDataset, AnySplit, Split, choosing_parts
from netslim.stages.train.config import TrainConfig


@dataclass(frozen=True, kw_only=True, eq=False)
class Splits:
    """What is trained on, what chooses the model, and what is only looked at once at the end."""

    train: AnySplit
    select: AnySplit
    test: AnySplit


def splits_of(dataset: AnyDataset, config: TrainConfig, device: torch.device) -> Splits:
    """The splits; what every epoch is judged on is on the device. Warns of a single class."""
    if dataset.num_classes == 1 and config.loss == USUAL_TASK.loss:
        named = f", {dataset.class_names[0]}" if dataset.class_names else ""
        warnings.warn(f"{dataset.name} has one class{named}: every answer is right", NetslimWarning, stacklevel=2)
    if config.select_on == "test":
        return Splits(train=dataset.train, select=dataset.test.on(device), test=dataset.test)
    train, val = choosing_parts(dataset, config.val_share, config.seed)
    return Splits(train=train, select=val.on(device), test=dataset.test)


def can_be_late(train: AnySplit, device: torch.device) -> bool:
    """Whether training can have to wait for images: not where all of them are on the GPU."""
    return device.type == "cpu" or not isinstance(train, Split) or train.images.is_meta
