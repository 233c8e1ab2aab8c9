"""What a transferred network owes to the images it is for: BatchNorm statistics, and the start of its classifier."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from itertools import islice

from torch import Tensor

from netslim.core.protocols import PrunableModel
from netslim.data import Augmentation, ImageDataset, TrainBatches, evaluation_batches
from netslim.training.bn_statistics import recalibrate_
from netslim.transfers import TransferReport
from netslim.transfers.head import class_means_, classifier, zero_

BATCH_SIZE = 128
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def calibration_images(dataset: ImageDataset, count: int, seed: int) -> list[Tensor]:
    """The images of `calibration_batches`."""
    return [images for images, _ in calibration_batches(dataset, count, seed)]


def training_images(dataset: ImageDataset, count: int, seed: int) -> list[Tensor]:
    """The same with the training's augmentation: a trained network's statistics are of such images.

    Of unaltered ones they differ by some percent, which can cost more accuracy than a pruning.
    """
    return [images for images, _ in _batches(dataset, count, seed)]


def calibration_batches(dataset: ImageDataset, count: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Up to `count` batches of 128 normalised training images and labels, unaltered, in an order that the seed gives.

    A last batch that is not full is left out, since its statistics would count as much as a full one's; fewer than
    128 images are one batch.
    """
    return _batches(dataclasses.replace(dataset, augmentation=Augmentation(pad=0, flip=False)), count, seed)


def _batches(dataset: ImageDataset, count: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    batches = TrainBatches(dataset.train, dataset, batch_size=BATCH_SIZE, seed=seed, device="cpu")
    whole = max(1, len(dataset.train) // BATCH_SIZE)
    return islice(batches.epoch(0), min(count, whole))


def recalibrate(model: PrunableModel, batches: Sequence[Tensor], report: TransferReport, name: str) -> TransferReport:
    """Estimates the BatchNorm statistics of `model`, in place, and says so in the report."""
    device = next(model.parameters()).device
    recalibrate_(model, (images.to(device) for images in batches))
    keys = [key for key in model.state_dict() if key.rpartition(".")[2] in STATISTICS]
    return _noted(report, keys, f"; then estimated anew on {name}")


def start_head(
    model: PrunableModel, start: str, report: TransferReport, dataset: ImageDataset | None
) -> TransferReport:
    """Starts the classifier of `model`, in place, unless it came from the source, and says so in the report.

    Args:
        model: the transferred network.
        start: "random" (it stays as it is), "zero" or "means".
        report: of the transfer.
        dataset: what "means" are taken from.
    """
    name, head = classifier(model)
    keys = [f"{name}.{key}" for key in head.state_dict()]
    if start == "random" or any(entry.key in keys and entry.status == "mapped" for entry in report.statuses):
        return report
    if start == "zero" or dataset is None:
        zero_(model)
        return _noted(report, keys, "; set to zero")
    device = head.weight.device
    class_means_(model, evaluation_batches(dataset.train, dataset, batch_size=BATCH_SIZE, device=device))
    return _noted(report, keys, f"; set to the class means of {len(dataset.train):,} images of {dataset.name}")


def _noted(report: TransferReport, keys: Sequence[str], note: str) -> TransferReport:
    """The report with `note` after the reasons of `keys`."""
    statuses = [dataclasses.replace(f, reason=f.reason + note) if f.key in keys else f for f in report.statuses]
    return dataclasses.replace(report, statuses=tuple(statuses))
