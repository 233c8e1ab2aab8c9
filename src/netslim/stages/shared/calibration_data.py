"""Batches of training images that a network's statistics are estimated on, and that criteria look at."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import islice
from typing import Any

from torch import Tensor

from netslim.core.networks.trees import Batch
from netslim.data import AnyDataset, Augmentation, UserDataset, train_batches

BATCH_SIZE = 128


def calibration_images(dataset: AnyDataset, count: int, seed: int) -> list[Tensor]:
    """The images of `calibration_batches`, of a network that takes nothing else."""
    return [images for images, _ in calibration_batches(dataset, count, seed) if isinstance(images, Tensor)]


def training_images(dataset: AnyDataset, count: int, seed: int) -> list[Batch]:
    """The same with the training's augmentation: a trained network's statistics are of such images.

    Of unaltered ones they differ by some percent, which can cost more accuracy than a pruning.
    """
    return [images for images, _ in _batches(dataset, count, seed)]


def some_training_images(dataset: AnyDataset, images: int, seed: int) -> list[Batch]:
    """Batches with as many images of `training_images`, or all whole batches of the data set."""
    batches = training_images(dataset, -(-images // BATCH_SIZE), seed)
    return [batch[: images - BATCH_SIZE * number] for number, batch in enumerate(batches)]


def calibration_batches(dataset: AnyDataset, count: int, seed: int) -> Iterator[tuple[Batch, Any]]:
    """Up to `count` batches of 128 normalised training images and labels, unaltered, in an order that the seed gives.

    Those of a data set of the user's own are as its `train` gives them.

    A last batch that is not full is left out, since its statistics would count as much as a full one's; fewer than
    128 images are one batch.
    """
    if isinstance(dataset, UserDataset):
        return _batches(dataset, count, seed)
    return _batches(dataclasses.replace(dataset, augmentation=Augmentation(pad=0, flip=False)), count, seed)


def _batches(dataset: AnyDataset, count: int, seed: int) -> Iterator[tuple[Batch, Any]]:
    batches = train_batches(dataset.train, dataset, batch_size=BATCH_SIZE, seed=seed, device="cpu")
    whole = max(1, len(dataset.train) // BATCH_SIZE)
    return islice(batches.epoch(0), min(count, whole))
