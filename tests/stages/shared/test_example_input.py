import pytest
import torch
from torch import Tensor, nn

import netslim
from netslim.core.networks.trees import InputBatch
from netslim.models import create_model
from netslim.stages.shared.example_input import example_input, sides


@pytest.mark.parametrize(
    ("arch", "given", "facts", "shape"),
    [
        ("resnet", {"depth": 11, "in_channels": 1}, {"image_size": [8, 12]}, (2, 1, 8, 12)),
        ("resnet", {"depth": 11}, None, (2, 3, 32, 32)),
        ("torchvision/resnet18", {"stem": "cifar"}, None, (2, 3, 32, 32)),
        ("torchvision/resnet18", {"stem": "imagenet"}, {}, (2, 3, 224, 224)),
    ],
)
def test_the_shape_is_the_files_or_the_stems(arch: str, given: dict, facts: dict | None, shape: tuple) -> None:
    with torch.device("meta"):
        model = create_model(arch, **given)
    first, second = example_input(model, facts), example_input(model, facts)
    assert tuple(first.shape) == shape
    assert torch.equal(first, second)


class Two(nn.Module):
    """An image, and a number that is known of it."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3))

    def forward(self, image: Tensor, number: Tensor) -> Tensor:
        return self.trunk(image).mean((2, 3)) + number[:, None]


def test_several_inputs_are_those_of_the_file_or_of_the_plan() -> None:
    model, example = Two(), (torch.randn(3, 1, 8, 6), torch.randn(3))
    small = netslim.apply(model, netslim.plan(model, example, percent=0.5))
    found = example_input(small, None, batch=5)
    assert isinstance(found, InputBatch)
    assert [tuple(tensor.shape) for tensor in found.tensors] == [(5, 1, 8, 6), (5,)]
    assert sides(found) == "1x8x6 and 1"
    assert sides(example_input(small, {"image_size": [7, 7], "in_channels": 1}), " x ") == "1 x 7 x 7"
    assert sides(example_input(model, None)) == "3x32x32"
