"""A network as a flat graph of layers and functions."""

from typing import cast

import pytest
import torch
from torch import Tensor, nn

from netslim.deploy.fx_graph import UntraceableError, capture, clean, index_of, name_of, replace
from netslim.models import ChannelSelection

IMAGES = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.selection = ChannelSelection(4)
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.5), nn.Identity(), self.selection)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        return cast(Tensor, self.head(x.view(x.size(0), -1)))


def chosen() -> Net:
    model = Net().eval()
    model.selection.select([1, 3])
    return model


def test_a_graph_holds_what_computes_and_no_batch_size() -> None:
    model = chosen().train()
    network = capture(model, IMAGES)
    assert model.training
    assert [name_of(node) for node in network.graph.nodes if node.op not in ("placeholder", "get_attr", "output")] == [
        *("Conv2d", "index_select", "flatten", "Linear"),
    ]
    assert [index.tolist() for node in network.graph.nodes if (index := index_of(node)) is not None] == [[1, 3]]
    assert [name for name, _ in network.named_children()] == ["body_0", "head"]
    five = torch.randn(5, 3, 4, 4)
    torch.testing.assert_close(network(five), model.eval()(five))


def test_what_nothing_reads_is_cleaned_away() -> None:
    network = capture(chosen(), IMAGES)
    (head,) = [node for node in network.graph.nodes if name_of(node) == "Linear"]
    replace(head, next(iter(network.graph.nodes)))
    clean(network)
    assert not network.state_dict()
    assert torch.equal(network(IMAGES), IMAGES)


class Decides(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def test_a_network_without_a_fixed_graph_is_named() -> None:
    with pytest.raises(UntraceableError, match=r"^Decides has no fixed graph"):
        capture(Decides(), IMAGES)
