from pathlib import Path

import pytest
import torch

from netslim.core.checkpoint import Checkpoint
from netslim.core.processes.distributed import ALONE, World
from netslim.data import load_dataset
from netslim.models import create_model
from netslim.stages.shared.datasets import dataset_facts, shown_normalization
from netslim.stages.train.config import TrainConfig
from netslim.stages.train.messages import arguments, built, other_images, processes, summary

RESULT = {"selected_on": "val", "chosen_by": "top-1", "best_top1": 0.5, "best_epoch": 3, "test_top1": 0.25}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "best val top-1 50.00 % in epoch 3, test top-1 25.00 %"),
        ({"selected_on": "test"}, "best test top-1 50.00 % in epoch 3, chosen on the test set"),
        (
            {"chosen_by": "loss + penalty"},
            "val top-1 50.00 % in epoch 3 (lowest loss + penalty), test top-1 25.00 %",
        ),
    ],
)
def test_the_last_line(given: dict[str, str], line: str) -> None:
    assert summary({**RESULT, **given}) == line


def test_the_first_line() -> None:
    assert arguments(create_model("resnet", depth=11, num_classes=2, in_channels=1)).startswith("(depth 11, ")
    assert processes(TrainConfig(), ALONE) == ""
    assert processes(TrainConfig(), World(0, 2)) == "; 2 processes, BatchNorm over each"
    assert processes(TrainConfig(sync_bn=True), World(0, 2)) == "; 2 processes, BatchNorm over all"


def test_images_that_differ_from_the_files() -> None:
    digits, config = load_dataset("digits", Path(), image_size=32), TrainConfig(image_size=32)
    there = Checkpoint(state_dict={}, dataset=dataset_facts(digits, config))
    assert there.dataset
    assert other_images(there, digits, config) == ""
    assert other_images(Checkpoint(state_dict={}), digits, config) == ""
    there.dataset |= {"image_size": [16, 16], "mean": [0.5]}
    now = shown_normalization(dataset_facts(digits, config))
    differ = f"image size 32x32 (there 16x16), normalised by {now} (there mean 0.5, {now.partition(', ')[2]})"
    assert other_images(there, digits, config) == differ
    there.dataset = {"name": "cifar10"}
    assert other_images(there, digits, config) == "data set digits (there cifar10)"


def test_the_record_says_what_the_network_is() -> None:
    model = create_model("vgg", depth=11, num_classes=2, in_channels=1)
    found = built(model, torch.zeros(1, 1, 32, 32))
    assert found["arch"] == {"name": "vgg", "arguments": dict(model.arch.arguments)}
    assert found["params"] == sum(parameter.numel() for parameter in model.parameters())
