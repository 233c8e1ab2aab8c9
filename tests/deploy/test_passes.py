"""What makes a captured network cheaper without changing what it computes."""

from collections import Counter
from typing import cast

import pytest
import torch
from torch import Tensor, fx, nn

from netslim.deploy.fx_graph import annotate, capture, clean, name_of
from netslim.deploy.inference import simplified
from netslim.deploy.passes import (
    drop_dead_branches,
    drop_full_selections,
    drop_unread,
    fold_constants,
    fold_norms,
    pad,
    select_by_zeros,
    select_early,
    write_in_place,
)
from netslim.models import ChannelSelection

IMAGES = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """A residual block of which channels 1 and 4 are read, after a selection."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)
        self.conv, self.last = nn.Conv2d(5, 5, 1), nn.Conv2d(2, 3, 1)
        self.after, self.selection = nn.BatchNorm2d(5), ChannelSelection(5)
        self.selection.select([1, 4])
        for norm in (self.norm, self.after):
            norm.running_mean = torch.rand(5)
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.normal_(norm.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        x = self.selection(self.after(x + self.conv(x)))
        return cast(Tensor, self.last(torch.relu(x)))


def kinds(network: fx.GraphModule) -> Counter[str]:
    return Counter(name_of(node) for node in network.graph.nodes)


def layer(network: fx.GraphModule, name: str) -> nn.Conv2d:
    return cast(nn.Conv2d, network.get_submodule(name))


def check_same(network: fx.GraphModule, model: nn.Module) -> None:
    clean(network)
    annotate(network, IMAGES)
    torch.testing.assert_close(network(IMAGES.clone()), model(IMAGES), rtol=1e-4, atol=1e-5)


@pytest.fixture
def model() -> Net:
    torch.manual_seed(0)
    return Net().eval().requires_grad_(False)


def test_a_norm_is_folded_where_one_convolution_is_before_it(model: Net) -> None:
    network = capture(model, IMAGES)
    assert fold_norms(network) == 1
    check_same(network, model)
    assert kinds(network)["BatchNorm2d"] == 1


def test_selections_move_before_their_norm_or_into_weights(model: Net) -> None:
    early = capture(model, IMAGES)
    select_early(early)
    check_same(early, model)
    assert early.get_submodule("after").num_features == 2
    zeros = capture(model, IMAGES)
    select_by_zeros(zeros)
    check_same(zeros, model)
    assert kinds(zeros)["index_select"] == 0
    assert layer(zeros, "last").weight.any(0).flatten().tolist() == [False, True, False, False, True]


def test_channels_that_nothing_reads_are_dropped_with_their_selection(model: Net) -> None:
    model.conv.weight[:, [0, 2]] = 0
    network = capture(model, IMAGES)
    assert drop_unread(network) == 2
    network.recompile()
    annotate(network, IMAGES)
    assert network.get_submodule("stem").out_channels == 3
    check_same(network, model)
    only = nn.Sequential(nn.Conv2d(3, 5, 3), model.selection, nn.Conv2d(2, 3, 1)).eval()
    network = capture(only, IMAGES)
    assert drop_unread(network) == 3
    network.recompile()
    annotate(network, IMAGES)
    assert kinds(network)["index_select"] == 1
    drop_full_selections(network)
    check_same(network, only)
    assert kinds(network)["index_select"] == 0


def test_widths_are_padded(model: Net) -> None:
    network = capture(model, IMAGES)
    assert pad(network, 4) == 3 + 2
    check_same(network, model)
    assert [network.get_submodule(name).out_channels for name in ("stem", "conv", "last")] == [8, 8, 3]


def test_a_constant_becomes_a_bias() -> None:
    first, last = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 1, 1, bias=False)
    first.bias = nn.Parameter(torch.tensor([0.5, 2.0, 0.5]))
    with torch.no_grad():
        first.weight[1] = 0
        last.weight.copy_(torch.tensor([1.0, 3.0, 1.0]).view(1, 3, 1, 1))
    model = nn.Sequential(first, nn.ReLU(), last).eval()
    network = capture(model, IMAGES)
    assert fold_constants(network, IMAGES) == 1
    assert (bias := layer(network, "layer_2").bias) is not None
    assert bias.tolist() == [6.0]
    assert layer(network, "layer_2").weight.flatten().tolist() == [1.0, 0.0, 1.0]
    check_same(network, model)


def test_a_branch_is_dropped_only_if_it_gives_nothing(model: Net) -> None:
    model.conv.weight.zero_()
    network = capture(model, IMAGES)
    assert drop_dead_branches(network, IMAGES) == 0, "its bias is left"
    model.conv.bias = None
    network = capture(model, IMAGES)
    assert drop_dead_branches(network, IMAGES) == 1
    check_same(network, model)
    assert kinds(network)["add"] == 0


def test_what_is_read_again_is_not_written_over(model: Net) -> None:
    network = capture(model, IMAGES)
    write_in_place(network)
    check_same(network, model)
    (total,) = [node for node in network.graph.nodes if name_of(node) == "add"]
    assert (total.target, total.args[0].name) == ("add_", "conv"), "the other one is the stream, which conv reads"


def test_tiny_numbers_are_cleared_and_their_channels_go() -> None:
    """Subnormal activations take a hundred times as long; what is far below float32's seven digits gives nothing."""
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3)).eval()
    norm = cast(nn.BatchNorm2d, model[1])
    with torch.no_grad():
        norm.weight[:] = torch.tensor([1.0, 1e-39, 2.0, 1e-20, 0.5, 1e-10, 1.0, 1e-14])
    images = torch.randn(2, 3, 8, 8)
    network = simplified(model, images)
    assert [layer.weight.shape[0] for layer in network.modules() if isinstance(layer, nn.Conv2d)] == [6, 4]
    assert all(bool((values == 0).logical_or(values.abs() > 1e-30).all()) for values in network.parameters())
    torch.testing.assert_close(network(images), model(images), rtol=1e-6, atol=1e-6)
    assert norm.weight[1] != 0
