"""Image data sets, whole in memory as uint8 tensors, and the batches drawn from them. One file per data set."""

from netslim.data.dataset import (
    Augmentation,
    ImageDataset,
    Split,
    at_hand,
    dataset_names,
    fixed_shape,
    load_dataset,
)
from netslim.data.resident import TrainBatches, evaluation_batches
from netslim.data.splits import split_validation

__all__ = [
    "Augmentation",
    "ImageDataset",
    "Split",
    "TrainBatches",
    "at_hand",
    "dataset_names",
    "evaluation_batches",
    "fixed_shape",
    "load_dataset",
    "split_validation",
]
