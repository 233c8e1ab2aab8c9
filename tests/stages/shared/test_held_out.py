"""The images that judge are those that a network's training held out, where its file says which."""

from typing import Any

import pytest
import torch
from torch.utils.data import TensorDataset

from netslim.core.checkpoint import Checkpoint
from netslim.core.plugins.references import UserObject
from netslim.data import ImageDataset, Split, UserDataset, open_user_data, split_validation
from netslim.data.dataset import Augmentation
from netslim.data.splits import held_out as chosen
from netslim.stages.shared.config import SEED, VAL_SHARE
from netslim.stages.shared.held_out import held_out

TRAIN, TEST = (
    Split(torch.arange(first, first + count, dtype=torch.uint8).view(-1, 1, 1, 1), torch.arange(count) % 2)
    for first, count in ((0, 40), (100, 10))
)
DATASET = ImageDataset(
    name="numbers",
    train=TRAIN,
    test=TEST,
    class_names=("even", "odd"),
    mean=(0.5,),
    std=(0.5,),
    augmentation=Augmentation(pad=0, flip=False),
)
RECORDED = {"dataset": "numbers", "select_on": "val", "val_share": 0.25, "seed": 3}


def file(**config: Any) -> Checkpoint:
    return Checkpoint(state_dict={}, provenance={"config": config})


def samples(count: int) -> TensorDataset:
    return TensorDataset(torch.arange(count).view(-1, 1, 1, 1).float(), torch.zeros(count).long())


def own_data(**parts: Any) -> UserDataset:
    return open_user_data(UserObject(field="dataset", reference="d.py:f", value=lambda: parts), {})


def test_what_the_training_held_out_judges_and_the_rest_is_what_is_left() -> None:
    rest, images, described = held_out(file(**RECORDED), DATASET)
    train, val = split_validation(TRAIN, 0.25, 3)
    assert isinstance(images, Split)
    assert isinstance(rest, ImageDataset)
    assert (torch.equal(images.images, val.images), torch.equal(rest.train.images, train.images)) == (True, True)
    assert (len(rest.train), len(images), rest.test is TEST) == (30, 10, True)
    assert described == "training images that its training held out"
    assert len(DATASET.train) == 40


@pytest.mark.parametrize("changed", [{"dataset": "others"}, {"select_on": "test"}])
def test_of_another_training_those_that_a_usual_one_holds_out_may_have_been_seen(changed: dict[str, str]) -> None:
    _, images, described = held_out(file(**{**RECORDED, **changed}), DATASET)
    assert isinstance(images, Split)
    assert torch.equal(images.images, split_validation(TRAIN, VAL_SHARE, SEED)[1].images)
    assert described == "training images, perhaps seen in training"


def test_a_file_that_says_nothing_is_one_of_another_training() -> None:
    assert held_out(Checkpoint(state_dict={}), DATASET)[2] == "training images, perhaps seen in training"


def test_the_users_own_val_judges_whatever_the_file_says() -> None:
    dataset = own_data(train=samples(8), val=samples(4), test=samples(2))
    assert held_out(file(**RECORDED), dataset) == (dataset, dataset.val, "val images")


def test_without_one_a_part_of_the_users_train_is_held_out() -> None:
    dataset = own_data(train=samples(8), test=samples(2))
    rest, images, described = held_out(file(**{**RECORDED, "dataset": dataset.name}), dataset)
    marked = chosen(8, 0.25, 3)
    assert isinstance(rest, UserDataset)
    assert torch.equal(images.indices, torch.arange(8)[marked])  # type: ignore[union-attr]
    assert torch.equal(rest.train.indices, torch.arange(8)[~marked])
    assert described == "training images that its training held out"
