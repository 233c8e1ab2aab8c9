"""First layers for small images, and blocks without their branch."""

import pytest
import torch
from torch import nn
from torchvision.models import mobilenet_v2, resnet18

from netslim.models.imagenet_stems import Zeros, adapt_first_, adapt_stem_, blocks_of, drop_branch_


def test_the_blocks_of_a_resnet() -> None:
    names = [name for name, _ in blocks_of(resnet18())]
    assert names == [f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1)]


@pytest.mark.parametrize(("stem", "side"), [("imagenet", 8), ("cifar", 32)])
def test_a_stem_at_full_size(stem: str, side: int) -> None:
    network = resnet18()
    adapt_stem_(network, 1, stem)
    assert network.maxpool(network.relu(network.bn1(network.conv1(torch.zeros(1, 1, 32, 32))))).shape[-1] == side


def test_a_stem_that_stays_is_the_same_layer() -> None:
    network = resnet18()
    conv = network.conv1
    adapt_stem_(network, 3, "imagenet")
    assert network.conv1 is conv


def test_the_first_convolution_of_any_network() -> None:
    network = mobilenet_v2()
    adapt_first_(network, 1, "cifar")
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    assert (first.in_channels, first.stride, first.kernel_size) == (1, (1, 1), (3, 3))


@pytest.mark.parametrize("name", ["layer1.1", "layer2.0"])
def test_a_block_without_its_branch_is_what_its_last_norm_makes_of_zeros(name: str) -> None:
    block = resnet18().eval().get_submodule(name)
    x = torch.randn(1, block.conv1.in_channels, 9, 9)
    shortcut = x if block.downsample is None else block.downsample(x)
    drop_branch_(block)
    torch.testing.assert_close(block(x), (shortcut + block.bn2(torch.zeros_like(shortcut))).relu())


def test_sides_are_rounded_up() -> None:
    assert Zeros(4, stride=2)(torch.ones(2, 3, 7, 8)).shape == (2, 4, 4, 4)
