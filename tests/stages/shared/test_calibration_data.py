from pathlib import Path

import pytest
import torch

from netslim.core.runs.seeding import seed_torch
from netslim.data import TrainBatches, load_dataset
from netslim.data.dataset import ImageDataset
from netslim.models import create_model
from netslim.stages.shared.calibration_data import BATCH_SIZE, calibration_images, training_images
from netslim.training.bn_statistics import recalibrate_


@pytest.fixture(scope="module")
def digits() -> ImageDataset:
    return load_dataset("digits", Path())


def test_images_as_the_training_sees_them(digits: ImageDataset) -> None:
    found = training_images(digits, 2, seed=3)
    batches = TrainBatches(digits.train, digits, batch_size=BATCH_SIZE, seed=3, device="cpu")
    for images, (expected, _) in zip(found, batches.epoch(0), strict=False):
        assert torch.equal(images, expected)
    plain = calibration_images(digits, 2, seed=3)
    assert [len(images) for images in plain] == [len(images) for images in found] == [128, 128]
    assert not torch.equal(plain[0], found[0])


def test_the_statistics_of_a_training_come_out_again(digits: ImageDataset) -> None:
    """Other augmented images give nearly the same ones; unaltered images do not."""
    seed_torch(0, "init")
    model = create_model("resnet", depth=11, in_channels=1)
    recalibrate_(model, training_images(digits, 10, seed=1))
    before = {name: value.clone() for name, value in model.named_buffers() if name.endswith("running_var")}

    def apart() -> float:
        ratios = [(value / before[name] - 1).abs().mean() for name, value in model.named_buffers() if name in before]
        return float(torch.stack(ratios).mean())

    recalibrate_(model, training_images(digits, 10, seed=2))
    again = apart()
    recalibrate_(model, calibration_images(digits, 10, seed=2))
    assert again < 0.5 * apart()
