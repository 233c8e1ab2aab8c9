"""Channel spaces: what shares one numbering of channels, and how it is changed."""

from collections.abc import Callable
from typing import cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from netslim.deploy.channel_spaces import ABSENT, Space, spaces
from netslim.deploy.fx_graph import capture

IMAGES = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """A stream of 5 channels with a depthwise convolution and a sum, and a concatenation at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.depthwise = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Conv2d(5, 5, 1, groups=5)
        self.branch, self.last = nn.Conv2d(5, 5, 1), nn.Conv2d(5, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.first(x)))
        x = self.depthwise(x) + self.branch(x)
        return torch.cat([self.last(x), x[:, :1]], 1)


class Stream(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.first(x)))
        x = self.depthwise(x) + self.branch(x)
        return cast(Tensor, self.last(x))


def captured(model: nn.Module) -> tuple[fx.GraphModule, Space]:
    network = capture(model, IMAGES)
    (found,) = [space for space in spaces(network) if space.width == 5]
    return network, found


def test_layers_of_one_numbering() -> None:
    network, stream = captured(Stream())
    assert [str(node.target) for node in stream.writers] == ["first", "branch"]
    assert [str(node.target) for node in stream.followers] == ["norm", "depthwise"]
    assert [str(node.target) for node in stream.readers] == ["branch", "last"]
    assert [(space.width, space.fixed) for space in spaces(network)] == [
        *((3, True), (5, False)),
        *((2, True), (2, True)),  # of the last layer and of the output itself
    ]


def test_another_order_with_more_channels_computes_the_same() -> None:
    model = Stream().eval()
    network, stream = captured(model)
    stream.rearrange(torch.tensor([4, 2, ABSENT, 0, 1, 3]))
    assert stream.width == 6
    assert network.get_submodule("last").weight.shape == (2, 6, 1, 1)
    assert network.get_submodule("norm").running_var.shape == (6,)
    torch.testing.assert_close(network(IMAGES), model(IMAGES))


def test_what_is_indexed_or_concatenated_is_fixed() -> None:
    assert captured(Stream())[1].fixed is False
    assert captured(Net())[1].fixed is True


class Padded(Stream):
    """Its depthwise convolution sees a border that was added before it."""

    def __init__(self, pads: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.pads = pads

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.first(x)))
        return cast(Tensor, self.last(self.depthwise(self.pads(x))))


@pytest.mark.parametrize(
    ("pads", "fixed"),
    [
        (nn.ZeroPad2d((0, 1, 0, 1)), False),
        (lambda x: F.pad(x, (0, 1)), False),
        (lambda x: F.pad(x, pad=[0, 1, 2, 0]), False),
        (lambda x: F.pad(x, (0, 0, 0, 0, 1, -1)), True),  # of the channels
    ],
)
def test_borders_are_of_each_channel(pads: Callable[[Tensor], Tensor], fixed: bool) -> None:
    model = Padded(pads).eval()
    network = capture(model, IMAGES)
    found = [space for space in spaces(network) if space.width == 5]
    assert {space.fixed for space in found} == {fixed}
    if not fixed:
        (stream,) = found
        stream.rearrange(torch.tensor([4, 2, ABSENT, 0, 1, 3]))
        torch.testing.assert_close(network(IMAGES), model(IMAGES))
