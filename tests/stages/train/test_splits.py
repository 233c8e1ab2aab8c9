"""What a phase trains on, chooses by and reports, on a data set whose images are their own numbers."""

import warnings
from dataclasses import replace

import pytest
import torch

from netslim.core.errors import NetslimWarning
from netslim.data import ImageDataset, Split, split_validation
from netslim.data.dataset import Augmentation
from netslim.stages.train.config import TrainConfig
from netslim.stages.train.splits import can_be_late, splits_of

CPU = torch.device("cpu")


def numbered(first: int, count: int) -> Split:
    images = torch.arange(first, first + count, dtype=torch.uint8).view(-1, 1, 1, 1)
    return Split(images, torch.arange(count) % 2)


DATASET = ImageDataset(
    name="numbers",
    train=numbered(0, 40),
    test=numbered(100, 10),
    class_names=("even", "odd"),
    mean=(0.5,),
    std=(0.5,),
    augmentation=Augmentation(pad=0, flip=False),
)


def numbers(split: Split) -> list[int]:
    found: list[int] = split.images.flatten().tolist()
    return found


def test_what_chooses_is_held_out_of_the_training_set() -> None:
    splits = splits_of(DATASET, TrainConfig(val_share=0.25, seed=3), CPU)
    assert (len(splits.train), len(splits.select)) == (30, 10)
    assert sorted(numbers(splits.train) + numbers(splits.select)) == list(range(40))
    assert numbers(splits.select) == numbers(split_validation(DATASET.train, 0.25, 3)[1])
    assert splits.test is DATASET.test


def test_with_the_test_set_to_choose_by_everything_is_trained_on() -> None:
    splits = splits_of(DATASET, TrainConfig(select_on="test"), CPU)
    assert splits.train is DATASET.train
    assert numbers(splits.select) == numbers(splits.test) == list(range(100, 110))


def test_images_that_are_all_on_a_gpu_are_never_late() -> None:
    gpu, elsewhere = torch.device("cuda"), replace(DATASET.train, images=DATASET.train.images.to("meta"))
    assert can_be_late(DATASET.train, CPU)
    assert not can_be_late(DATASET.train, gpu)
    assert can_be_late(elsewhere, gpu)  # read from files, one batch after the other


def test_a_single_class_is_said_where_classes_are_told_apart() -> None:
    one = replace(DATASET, class_names=("cat",))
    with pytest.warns(NetslimWarning, match=r"^numbers has one class, cat: every answer is right$"):
        splits_of(one, TrainConfig(), CPU)
    with warnings.catch_warnings(action="error"):
        splits_of(one, TrainConfig(loss="bce_with_logits", metric="multilabel_accuracy"), CPU)
        splits_of(DATASET, TrainConfig(), CPU)
