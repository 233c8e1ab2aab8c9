"""Image data sets, whole in memory as uint8 tensors, and the batches drawn from them. One file per data set."""

from netslim.data.batches import AnyDataset, AnySplit, choosing_parts, evaluation_batches, train_batches
from netslim.data.dataset import (
    Augmentation,
    ImageDataset,
    Split,
    at_hand,
    dataset_names,
    fixed_shape,
    load_dataset,
)
from netslim.data.own.user_data import UserData, UserDataset, open_user_data
from netslim.data.resident import TrainBatches
from netslim.data.splits import split_validation

__all__ = [
    "AnyDataset",
    "AnySplit",
    "Augmentation",
    "ImageDataset",
    "Split",
    "TrainBatches",
    "UserData",
    "UserDataset",
    "at_hand",
    "choosing_parts",
    "dataset_names",
    "evaluation_batches",
    "fixed_shape",
    "load_dataset",
    "open_user_data",
    "split_validation",
    "train_batches",
]
