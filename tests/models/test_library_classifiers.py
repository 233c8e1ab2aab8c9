"""torchvision's and timm's classifiers that are no ResNets: the library's networks, prunable and in files."""

from pathlib import Path

import pytest
import timm
import torch
from torch import nn
from torchvision import models

import netslim
from netslim.models.imagenet import LibraryNetwork

NAMES = ["torchvision/shufflenet_v2_x0_5", "torchvision/mobilenet_v3_small", "timm/test_efficientnet"]


@pytest.mark.parametrize("name", NAMES)
def test_from_a_name_to_a_small_network_in_a_file(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = netslim.create_model(name, num_classes=4, in_channels=1, stem="cifar").eval()
    images = torch.randn(2, 1, 32, 32)
    assert isinstance(model, LibraryNetwork)
    assert model(images).shape == (2, 4)
    decided = netslim.plan(model, images, percent=0.5)
    small = netslim.apply(model, decided)
    assert netslim.verify(model, small, images).holds
    assert netslim.measure(small, images).macs < 0.7 * netslim.measure(model, images).macs
    assert sum(small.cfg) < 0.7 * sum(model.cfg)
    netslim.save(tmp_path / "small.pth.tar", small)
    again = netslim.load(tmp_path / "small.pth.tar")
    assert again.arch == model.arch
    assert torch.equal(again(images), small.eval()(images))


def test_it_is_the_librarys_own_network() -> None:
    """Same keys, same weights, same logits at the library's stem."""
    theirs = models.shufflenet_v2_x0_5(num_classes=4).eval()
    ours = netslim.create_model("torchvision/shufflenet_v2_x0_5", num_classes=4).eval()
    ours.load_state_dict(theirs.state_dict())
    assert isinstance(ours, models.ShuffleNetV2)
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(ours(images), theirs(images))
    own = timm.create_model("test_efficientnet", num_classes=4)
    assert [*own.state_dict()] == [*netslim.create_model("timm/test_efficientnet", num_classes=4).state_dict()]


def test_auxiliary_heads_say_nothing_in_training() -> None:
    model = netslim.create_model("torchvision/googlenet", num_classes=3).train()
    assert model(torch.randn(2, 3, 64, 64)).shape == (2, 3)


@pytest.mark.parametrize(
    ("name", "kernel", "pools"),
    [("densenet121", 3, 3), ("mobilenet_v2", 3, 0), ("shufflenet_v2_x0_5", 3, 0), ("vgg11_bn", 3, 5)],
)
def test_the_stem_for_small_images(name: str, kernel: int, pools: int) -> None:
    """Stride 1, and of the poolings only one right behind a first convolution that had halved the image goes."""
    with torch.device("meta"):
        model = netslim.create_model(f"torchvision/{name}", num_classes=2, in_channels=1, stem="cifar")
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    assert (first.in_channels, first.kernel_size, first.stride) == (1, (kernel, kernel), (1, 1))
    kinds = [type(module) for module in model.modules()]
    assert kinds.count(nn.MaxPool2d) + kinds.count(nn.AvgPool2d) == pools
