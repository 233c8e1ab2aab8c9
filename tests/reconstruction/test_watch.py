"""What becomes of what layers give, as one run shows."""

import torch.nn.functional as F
from torch import Tensor, nn

from netslim.reconstruction.watch import Hooks, Link, Use, Watch
from reconstruction import networks


def links_of(network: nn.Module, x: Tensor = networks.IMAGES[:2]) -> dict[str, Link]:
    hooks, watch = Hooks(), Watch(network.eval())
    with hooks.on(network), hooks.watched(watch):
        network(x)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    return {use.layer if not use.number else f"{use.layer}#{use.number}": link for use, link in watch.links().items()}


def test_a_branch_that_is_added_in_place_behind_its_norm() -> None:
    assert links_of(networks.Residual()) == {
        "conv1": Link("bn1"),
        "conv2": Link("bn2"),
        "conv3": Link("bn3"),
        "conv4": Link("bn4", added=True),
        "fc": Link(),
    }


class Projected(nn.Module):
    """As the first block of a stage: branch and shortcut are layers both."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
        self.down, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn(self.conv(x))
        y += self.norm(self.down(x))
        return F.relu(y)


def test_of_two_layers_that_are_added_one_makes_up_for_the_other() -> None:
    assert links_of(Projected()) == {"conv": Link("bn", added=True), "down": Link("norm")}


class ReadTwice(Projected):
    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(input=x)
        return self.bn(y) + y + self.norm(self.down(x).relu_())


def test_what_is_read_twice_or_written_into_is_not_added_alone() -> None:
    assert links_of(ReadTwice()) == {"conv": Link(), "down": Link()}


def test_every_use_of_a_layer_is_one_by_itself() -> None:
    assert set(links_of(networks.TwiceUsed())) == {"conv1", "conv2", "conv2#1", "fc"}
    assert Use("conv2", 0) != Use("conv2", 1)
