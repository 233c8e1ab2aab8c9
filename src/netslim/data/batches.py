"""Batches of any data set: netslim's own, whose images are in memory or decoded ahead, or the user's."""

from collections.abc import Iterator
from typing import Any, TypeVar

from netslim.core.errors import DataError
from netslim.data.dataset import ImageDataset, Split
from netslim.data.own.loading import LoadedBatches, loaded_in_order
from netslim.data.own.user_data import LoadedSplit, UserDataset
from netslim.data.resident import TrainBatches
from netslim.data.resident import evaluation_batches as resident_in_order
from netslim.data.splits import held_out, split_validation

AnyDataset = ImageDataset | UserDataset
AnySplit = Split | LoadedSplit
S = TypeVar("S", Split, LoadedSplit)


def train_batches(split: AnySplit, dataset: AnyDataset, **given: Any) -> TrainBatches | LoadedBatches:
    """Batches to train on; for the arguments see `TrainBatches`."""
    if isinstance(dataset, UserDataset):
        return LoadedBatches(_of(split, LoadedSplit), dataset, **given)
    return TrainBatches(_of(split, Split), dataset, **given)


def evaluation_batches(split: AnySplit, dataset: AnyDataset, **given: Any) -> Iterator[tuple[Any, Any]]:
    """The samples in order, as they are; for the arguments see `netslim.data.resident.evaluation_batches`."""
    if isinstance(dataset, UserDataset):
        return loaded_in_order(_of(split, LoadedSplit), dataset, **given)
    return resident_in_order(_of(split, Split), dataset, **given)


def choosing_parts(dataset: AnyDataset, share: float, seed: int) -> tuple[AnySplit, AnySplit]:
    """What is trained on, and what chooses the model: the user's own `val`, else a part held out of `train`."""
    if not isinstance(dataset, UserDataset):
        return split_validation(dataset.train, share, seed)
    if dataset.val is not None:
        return dataset.train, dataset.val
    if len(dataset.train) < 2:
        raise DataError(f"{dataset.name}: of one sample in train none can be held out: return val, too")
    chosen = held_out(len(dataset.train), share, seed)
    return dataset.train.part(~chosen), dataset.train.part(chosen)


def _of(split: AnySplit, kind: type[S]) -> S:
    assert isinstance(split, kind)  # noqa: S101  (a split is of its data set's kind)
    return split
