"""BatchNorm and ReLU in front of convolutions as one bound per channel."""

import pytest
import torch
from torch import Tensor, nn

from netslim.deploy.bn_relu_to_clamp import bound
from netslim.deploy.fx_graph import capture, name_of

IMAGES = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(0))


def norm() -> nn.BatchNorm2d:
    """y = x, y = 2 - x, y = 0.5 and y = x - 3."""
    layer = nn.BatchNorm2d(4, eps=1.0).requires_grad_(False)
    layer.running_mean, layer.running_var = torch.ones(4), torch.full((4,), 3.0)
    layer.weight.copy_(torch.tensor([2.0, -2.0, 0.0, 2.0]))
    layer.bias.copy_(torch.tensor([1.0, 1.0, 0.5, -2.0]))
    return layer


def test_a_bound_is_where_batchnorm_gives_zero() -> None:
    model = nn.Sequential(norm(), nn.ReLU(), nn.Conv2d(4, 3, 1)).eval()
    network = capture(model, IMAGES)
    assert bound(network) == 1
    network.recompile()
    assert [name_of(node) for node in network.graph.nodes if node.op != "get_attr"] == [
        *("placeholder", "clamp", "Conv2d", "output"),
    ]
    sides = [value.flatten().tolist() for name, value in network.named_buffers() if name.endswith(("_low", "_high"))]
    assert sides == [[0.0, -torch.inf, 0.0, 3.0], [torch.inf, 2.0, torch.inf, torch.inf]]
    torch.testing.assert_close(network(IMAGES), model(IMAGES))


class TwoReaders(nn.Module):
    def __init__(self, padding: int) -> None:
        super().__init__()
        self.norm, self.one, self.other = norm(), nn.Conv2d(4, 3, 1), nn.Conv2d(4, 3, 3, padding=padding)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.relu(self.norm(x))
        return self.one(x), self.other(x)


@pytest.mark.parametrize(("padding", "replaced"), [(0, 1), (1, 0)])
def test_every_reader_takes_the_factor_in_or_none_does(padding: int, replaced: int) -> None:
    model = TwoReaders(padding).eval()
    network = capture(model, IMAGES)
    assert bound(network) == replaced
    network.recompile()
    torch.testing.assert_close(network(IMAGES), model(IMAGES))
