"""Sizes become numbers, and what is computed stays the same."""

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

import netslim
from netslim.deploy.latency.fixed_numbers import fix_numbers_


class Decoder(nn.Module):
    """Features brought to the size of those of an earlier layer, as decoders of segmentation do."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.first_bn = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.second, self.second_bn = nn.Conv2d(16, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16)
        self.last = nn.Conv2d(32, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = torch.relu(self.first_bn(self.first(x)))
        coarse = torch.relu(self.second_bn(self.second(fine)))
        height, width = fine.shape[2], fine.shape[3]
        found: Tensor = self.last(torch.cat([fine, F.interpolate(coarse, size=(height, width))], 1))
        return found


def test_sizes_become_numbers() -> None:
    network, x = fx.symbolic_trace(Decoder().eval()), torch.randn(2, 3, 8, 12)
    expected = network(x)
    fix_numbers_(network, x)
    assert torch.equal(network(x), expected)
    (resized,) = (node for node in network.graph.nodes if node.target is F.interpolate)
    assert resized.kwargs["size"] == (8, 12)
    assert not [node for node in network.graph.nodes if node.target in (getattr, "size")]


def test_parts_of_a_network_that_reads_sizes_run_alone() -> None:
    pieces = netslim.Engine("onnxruntime", batch_size=1, threads=1).pieces_of(Decoder(), torch.zeros(1, 3, 16, 16), [])
    (resized,) = (piece for piece in pieces if piece.kind.endswith("> 0") and "interpolate" in piece.kind)
    widths = [width.full for width in resized.widths]
    assert resized.network(widths)(*resized.inputs(widths, 3)).shape == (3, 16, 16, 16)
