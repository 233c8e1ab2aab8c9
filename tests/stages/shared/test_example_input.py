import pytest
import torch

from netslim.models import create_model
from netslim.stages.shared.example_input import example_input


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
