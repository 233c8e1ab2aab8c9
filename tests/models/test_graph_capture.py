"""A pruned network is one graph: no break for torch.compile, and torch.export takes any batch size."""

import pytest
import torch
from torch import nn

import netslim

FAMILIES = {
    "resnet": {"depth": 11},
    "vgg": {"depth": 11, "cfg": [6, "M", 8, "M", 12, 9, "M", 16, 10, "M", 12, 20]},
    "densenet": {"depth": 7},
}


@pytest.fixture(scope="module", params=FAMILIES)
def pruned(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    model = netslim.create_model(request.param, num_classes=4, in_channels=1, **FAMILIES[request.param])
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight)
    small = netslim.apply(model, netslim.plan(model, torch.zeros(1, 1, 8, 8), percent=0.5)).eval()
    assert small.cfg[0] < model.cfg[0]  # where there are selections, a real one is in the graph
    return small


def test_compile_without_a_graph_break(pruned: nn.Module) -> None:
    torch.compiler.reset()
    compiled = torch.compile(pruned, fullgraph=True, backend="eager")
    images = torch.randn(2, 1, 8, 8)
    assert torch.equal(compiled(images), pruned(images))


def test_export_with_a_free_batch_size(pruned: nn.Module) -> None:
    batch = torch.export.Dim("batch")
    program = torch.export.export(pruned, (torch.randn(2, 1, 8, 8),), dynamic_shapes=({0: batch},))
    images = torch.randn(7, 1, 8, 8)
    torch.testing.assert_close(program.module()(images), pruned(images), rtol=0, atol=1e-6)
