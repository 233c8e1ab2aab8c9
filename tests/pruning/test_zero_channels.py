"""Channels that do nothing are cut, and the network computes what it did."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import netslim
from netslim.core.errors import UsageError
from netslim.core.protocols import plan_of
from netslim.pruning.zero_channels import ZERO_SCALES, check_can_shrink, shrank, without_zeros

VGG = [8, "M", 8, "M", 12, 12, "M", 16, 16, "M", 16, 16]


def some_zero(model: nn.Module, share: float = 0.4) -> nn.Module:
    """Random scales of which some are exactly zero, shifts of both signs, statistics as after a training."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean):
                tensor.data.copy_(torch.randn(tensor.shape, generator=generator))
            module.weight.data[torch.rand(module.num_features, generator=generator) < share] = 0
    return model


def apart(one: nn.Module, other: nn.Module, images: Tensor) -> float:
    """The largest difference of their outputs, as a share of the largest output."""
    with torch.no_grad():
        expected, found = one(images), other(images)
    return float((expected - found).abs().max() / expected.abs().max())


def training(model: nn.Module) -> nn.Module:
    """A copy that normalises by a batch's statistics, in double precision, in which few values make no difference."""
    trained = copy.deepcopy(model).double().train()
    for module in trained.modules():
        if "Drop" in type(module).__name__:  # which draws for as many channels as there are
            module.eval()
    return trained


def plain(padding: int = 1, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Two convolutions with a BatchNorm in between, whose scales 0 to 3 are zero, with shifts -1 1 -1 1."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), activation(), nn.Conv2d(8, 4, 3, padding=padding)
    )
    net[1].weight.data[:4] = 0
    net[1].bias.data.copy_(torch.tensor([-1.0, 1.0] * 4))
    return net.eval()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("resnet", {"depth": 11}),
        ("vgg", {"depth": 11, "cfg": VGG}),
        ("densenet", {"depth": 7}),
        pytest.param("torchvision/mobilenet_v2", {}, marks=pytest.mark.slow),
        pytest.param("timm/efficientnet_b0", {}, marks=pytest.mark.slow),
    ],
)
def test_the_network_computes_what_it_did(name: str, arguments: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = some_zero(netslim.create_model(name, num_classes=10, **arguments)).eval()
    before = copy.deepcopy(model.state_dict())
    images = torch.randn(4, 3, 32, 32)
    small = without_zeros(model, images[:1])
    plan = plan_of(small)
    assert plan is not None
    assert plan.kept < plan.total
    assert plan.after == netslim.measure(small, images)
    assert plan.before == netslim.measure(model, images)
    assert apart(model, small, images) < 1e-5
    assert apart(training(model), training(small), images.double()) < 1e-4
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert plan_of(model) is None


@pytest.mark.parametrize(
    ("net", "kept"),
    [
        (plain(), (1, 3, 4, 5, 6, 7)),  # a positive shift is another constant at the border than inside
        (plain(padding=0), (4, 5, 6, 7)),
        (plain(activation=nn.SiLU), (0, 1, 2, 3, 4, 5, 6, 7)),  # which lets a bit of a negative one through
    ],
)
def test_a_constant_that_zero_padding_cuts_off_stays(net: nn.Sequential, kept: tuple[int, ...]) -> None:
    images = torch.randn(2, 1, 6, 6)
    small = without_zeros(net, images)
    plan = plan_of(small)
    assert (plan.groups[0].keep if plan else tuple(range(8))) == kept
    assert apart(net, small, images) < 1e-6


def test_padding_with_what_is_there_cuts_nothing_off() -> None:
    net = plain()
    net[3] = nn.Conv2d(8, 4, 3, padding=1, padding_mode="reflect")
    images = torch.randn(2, 1, 6, 6)
    small = without_zeros(net, images)
    assert small[0].out_channels == 4
    assert apart(net, small, images) < 1e-6


class Gated(nn.Module):
    """Channels that are multiplied with gates of their means."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.gate = nn.Conv2d(8, 8, 1)
        self.last = nn.Conv2d(8, 4, 1)

    def forward(self, images: Tensor) -> Tensor:
        values = self.bn(self.conv(images)).relu()
        gated: Tensor = self.last(values * self.gate(values.mean((2, 3), keepdim=True)).sigmoid())
        return gated


def test_a_constant_behind_a_gate_is_none() -> None:
    net = some_zero(Gated()).eval()
    assert (net.bn.weight == 0).any()
    assert without_zeros(net, torch.randn(2, 1, 6, 6)) is net


def test_one_channel_of_every_group_stays() -> None:
    model = some_zero(netslim.create_model("resnet", depth=11, num_classes=10), share=1.0).eval()
    images = torch.randn(2, 3, 16, 16)
    small = without_zeros(model, images)
    assert min(small.cfg) == 1
    assert apart(model, small, images) < 1e-5
    assert without_zeros(small, images) is small  # and it rests there


def test_without_zeros_nothing_goes() -> None:
    model = some_zero(netslim.create_model("vgg", depth=11, num_classes=10, cfg=VGG), share=0.0)
    assert without_zeros(model, torch.zeros(1, 3, 32, 32)) is model


def test_cut_twice_the_plan_is_of_the_whole() -> None:
    model = some_zero(netslim.create_model("resnet", depth=11, num_classes=10)).eval()
    images = torch.randn(2, 3, 16, 16)
    small = without_zeros(model, images)
    less = without_zeros(some_zero(copy.deepcopy(small)).eval(), images)
    first, second = plan_of(small), plan_of(less)
    assert first is not None
    assert second is not None
    assert (first.total, first.before) == (second.total, second.before)
    assert second.kept < first.kept
    assert second.percent == pytest.approx(1 - second.kept / second.total)
    assert second.criterion == ZERO_SCALES
    assert shrank(second)
    again = netslim.plan(less, images, target_macs=0.35)
    assert again.before == first.before
    assert again.budget is not None
    assert again.budget.target == pytest.approx(0.35 * first.before.macs)
    assert not shrank(again)
    assert not shrank(None)


def test_after_a_pruning_of_coupled_streams_they_stay_coupled() -> None:
    model = netslim.create_model("resnet", depth=11, num_classes=10)
    images = torch.randn(2, 3, 16, 16)
    small = netslim.apply(model, netslim.plan(model, images, percent=0.1, criterion="l2_norm", residual="couple"))
    less = without_zeros(some_zero(small).eval(), images)
    assert plan_of(less).traced
    assert apart(small, less, images) < 1e-5


class Single(nn.Sequential):
    """What computes in single precision whatever it is given."""

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = super().forward(images.float())
        return found


class Deciding(nn.Sequential):
    """What looks at values before it goes on."""

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = super().forward(images)
        return found[found.mean((1, 2, 3)) > 0]


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (
            nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)),
            "Sequential has no BatchNorm, whose scales criterion 'bn_scale' reads",
        ),
        (Single(*plain()), "Single does not run in double precision, in which a cut is proven exact: "),
        (Deciding(*plain()), "Deciding decides by values what it does, so that no cut can be proven exact"),
    ],
)
def test_networks_that_can_not_shrink_are_refused(net: nn.Module, message: str) -> None:
    with pytest.raises(UsageError) as error:
        check_can_shrink(net, torch.zeros(2, 1, 8, 8))
    assert str(error.value).startswith(message)


def test_a_network_that_can_shrink_keeps_everything_at_first() -> None:
    assert check_can_shrink(plain(), torch.zeros(2, 1, 8, 8)).kept == 8


class Masked(nn.Conv2d):
    """Its mask is as large as its weight."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.register_buffer("mask", torch.rand_like(self.weight).round())

    def forward(self, images: Tensor) -> Tensor:
        return self._conv_forward(images, self.weight * self.mask, self.bias)


def test_masks_of_more_channels_than_a_layer_reads() -> None:
    torch.manual_seed(0)
    net = some_zero(nn.Sequential(Masked(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), Masked(8, 4, 1))).eval()
    images = torch.randn(2, 1, 6, 6)
    small = without_zeros(net, images)
    assert small[0].out_channels < 8
    assert apart(net, small, images) < 1e-6


class Last(nn.Linear):
    """Reads channels that come first."""

    def forward(self, values: Tensor) -> Tensor:
        return super().forward(values.transpose(1, -1)).transpose(1, -1)


def test_what_a_layer_moves_before_it_reads_stays() -> None:
    torch.manual_seed(0)
    net = some_zero(nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(2), Last(8, 4))).eval()
    assert (net[1].weight == 0).any()
    images = torch.randn(2, 1, 4, 4)
    assert without_zeros(net, images) is net


def test_a_network_whose_weights_are_computed_is_not_cut_while_it_trains() -> None:
    net = plain()
    nn.utils.parametrizations.weight_norm(net[0])
    with pytest.raises(UsageError, match=r"^the weights of 0 are computed at every call"):
        check_can_shrink(net, torch.zeros(1, 1, 6, 6))
