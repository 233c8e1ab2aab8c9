"""Calls of `conv2d` and `linear` in a graph that become layers."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from netslim.deploy.tracing.own_layers import calls_as_layers

IMAGES = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
Call = Callable[[Tensor, Tensor, Tensor], Tensor]


class Calls(nn.Module):
    def __init__(self, call: Call, groups: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 4 // groups, 3, 3))
        self.bias = nn.Parameter(torch.randn(8))
        self.call = call

    def forward(self, x: Tensor) -> Tensor:
        return self.call(x, self.weight, self.bias)


@pytest.mark.parametrize(
    ("call", "groups", "layers"),
    [
        (lambda x, w, b: F.conv2d(x, w, b, 2, [1, 1]), 1, 1),
        (lambda x, w, b: F.conv2d(x, weight=w, padding="same", groups=2), 2, 1),
        (lambda x, w, b: F.conv2d(F.conv2d(x, w, b, dilation=(1, 2), padding=(1, 2))[:, :4], w), 1, 2),
        (lambda x, w, b: F.conv2d(x, w * 2, b), 1, 0),
        (lambda x, w, b: F.conv2d(x, w, b.exp()), 1, 0),
        (lambda x, w, b: F.conv2d(x, w, b, stride=x.shape[0] // 2), 1, 0),
    ],
)
def test_weights_and_settings_that_are_known_make_a_layer(call: Call, groups: int, layers: int) -> None:
    model = Calls(call, groups)
    network = fx.symbolic_trace(model)
    assert calls_as_layers(network) == layers
    network.recompile()
    assert sum(node.op == "call_module" for node in network.graph.nodes) == layers
    assert torch.equal(network(IMAGES), model(IMAGES))


def test_a_linear_layer_with_code_of_its_own() -> None:
    class Own(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, self.weight, self.bias) + F.linear(x, self.weight) + F.linear(x, self.weight * 2)

    model, features = nn.Sequential(Own(3, 2)), torch.randn(2, 3)
    network = fx.symbolic_trace(model)
    assert calls_as_layers(network) == 2
    network.recompile()
    assert torch.equal(network(features), model(features))


def test_layers_are_called_as_those_that_have_the_weights() -> None:
    twice = nn.Sequential(nn.Sequential(Calls(lambda x, w, b: F.conv2d(F.conv2d(x, w, b)[:, :4], w, b), 1)))
    network = fx.symbolic_trace(twice)
    calls_as_layers(network)
    assert [node.target for node in network.graph.nodes if node.op == "call_module"] == ["0_0", "0_0_1"]
