"""Graphs with the sizes of the example in them refuse others; all other graphs take any."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netslim import for_inference
from netslim.deploy.artifact import export
from netslim.deploy.targets.eager import load_code

OTHER = r"'x' has other sizes than \(N, 3, 9, 7\), which this graph is made for"


class SameSides(nn.Module):
    """Pads so that a stride of two gives half of the sides, rounded up."""

    def __init__(self, computes: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.computes = nn.Conv2d(3, 4, 3, stride=2), computes

    def forward(self, x: Tensor) -> Tensor:
        height, width = (
            [max((-(-side // 2) - 1) * 2 + 3 - side, 0) for side in x.shape[2:]] if self.computes else (1, 1)
        )
        return self.conv(F.pad(x, [width // 2, width - width // 2, height // 2, height - height // 2])).mean((2, 3))


class Two(SameSides):
    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        return super().forward(x) * scale


def test_another_size_is_refused_and_another_batch_is_not() -> None:
    model = SameSides().eval()
    network = for_inference(model, torch.randn(2, 3, 9, 7))
    images = torch.randn(5, 3, 9, 7)
    torch.testing.assert_close(network(images), model(images).detach())
    with pytest.raises(AssertionError, match=OTHER):
        network(torch.randn(5, 3, 9, 8))


def test_of_several_inputs_each_is_held() -> None:
    network = for_inference(Two().eval(), (torch.randn(2, 3, 9, 7), torch.randn(2, 4)))
    with pytest.raises(AssertionError, match=OTHER):
        network(torch.randn(2, 3, 8, 7), torch.randn(2, 4))
    with pytest.raises(AssertionError, match=r"'scale' has other sizes than \(N, 4\)"):
        network(torch.randn(2, 3, 9, 7), torch.randn(2, 1))


def test_code_that_was_written_refuses_it_too(tmp_path: Path) -> None:
    model = SameSides().eval()
    export(model, torch.randn(2, 3, 9, 7), tmp_path / "net", "eager")
    network, images = load_code(tmp_path / "net"), torch.randn(3, 3, 9, 7)
    torch.testing.assert_close(network(images), model(images).detach())
    with pytest.raises(AssertionError, match=OTHER):
        network(torch.randn(3, 3, 9, 8))


def test_graphs_without_sizes_take_any() -> None:
    model = SameSides(computes=False).eval()
    network, images = for_inference(model, torch.randn(2, 3, 9, 7)), torch.randn(3, 3, 12, 12)
    torch.testing.assert_close(network(images), model(images).detach())
    assert torch._assert not in [node.target for node in network.graph.nodes]
