"""Layers that mix their weight anew in every call, and become torch's own with its values."""

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netslim.core.networks.computed_weights import fix_weight_, mixes_its_weight
from netslim.core.networks.wrappers import plain, with_computed_weights
from pruning.kinds import check_exact

OPTIONS: dict[str, Any] = {"stride": 2, "padding": 1, "groups": 2}


def standardised(weight: Tensor) -> Tensor:
    """Qiao et al. 2019, equation 5: every filter with mean 0 and deviation 1."""
    flat = weight.flatten(1)
    return ((flat - flat.mean(1, keepdim=True)) / (flat.std(1, keepdim=True) + 1e-5)).view_as(weight)


class Standardised(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, standardised(self.weight), self.bias, self.stride, self.padding, self.dilation, self.groups)


class StandardisedInside(nn.Conv1d):
    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super()._conv_forward(x, standardised(weight), bias)


class Upwards(nn.ConvTranspose2d):
    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return F.conv_transpose2d(x, standardised(self.weight), None, stride=2, output_padding=1)


class LowRank(nn.Linear):
    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.down, self.up = nn.Linear(self.in_features, 2, bias=False), nn.Parameter(torch.zeros(self.out_features, 2))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight + self.up @ self.down.weight, bias=self.bias)


MIXING = {
    "standardised": (Standardised(4, 6, 3, **OPTIONS), (2, 4, 9, 9)),
    "without bias": (Standardised(4, 6, 3, bias=False, padding="same"), (2, 4, 9, 9)),
    "inside": (StandardisedInside(4, 6, 3, dilation=2), (2, 4, 9)),
    "upwards": (Upwards(4, 6, 3), (2, 4, 5, 5)),
    "of low rank": (LowRank(4, 6), (3, 7, 4)),
}


@pytest.mark.parametrize("name", MIXING)
def test_they_become_torch_s_own_layers_of_the_same_values(name: str) -> None:
    module, shape = MIXING[name]
    with torch.no_grad():
        for parameter in module.parameters():
            nn.init.normal_(parameter)
    module.requires_grad_(False)
    before, x = copy.deepcopy(module.state_dict()), torch.randn(shape)
    fixed = copy.deepcopy(module)
    fix_weight_(fixed)
    assert mixes_its_weight(module)
    assert type(fixed) is type(module).__bases__[0]
    assert {*dict(fixed.named_parameters())} <= {"weight", "bias"}
    assert not fixed.weight.requires_grad
    torch.testing.assert_close(fixed(x), module(x))
    torch.testing.assert_close(module.state_dict(), before)


class Gated(Standardised):
    """Weights that are zero before any training, as the last ones of a branch of an NFNet (Brock et al. 2021)."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, standardised(self.weight) * self.gain, self.bias)


def test_which_layers_they_are_does_not_depend_on_values() -> None:
    module = Gated(4, 6, 3)
    assert mixes_its_weight(module)
    fix_weight_(module)
    assert not module.weight.any()
    low = LowRank(4, 6)  # a factor is zero
    assert mixes_its_weight(low)
    low.weight.data.zero_()
    assert mixes_its_weight(low)


class Masked(nn.Conv2d):
    """What a causal convolution does: every entry for itself."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.register_buffer("mask", torch.rand_like(self.weight).round())
        self.gain = nn.Parameter(torch.rand(self.out_channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask * self.gain, self.bias)


class Rows(nn.Linear):
    """A factor for each row."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.gain = nn.Parameter(torch.rand(self.out_features))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.gain[:, None].exp())


class Conditional(Standardised):
    """A weight that depends on what is read."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, standardised(self.weight) * x.mean())


class WithActivation(Standardised):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


class Scaled(Standardised):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(2 * x)


class Difference(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) - F.conv2d(x, self.weight.sum((2, 3), keepdim=True))[..., 1:-1, 1:-1]


class Tempered(Standardised):
    """Takes more than its input, as torch's own would not."""

    def forward(self, x: Tensor, temperature: float = 1.0) -> Tensor:
        return F.conv2d(x, standardised(self.weight) * temperature, self.bias)


class Broken(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("not like this")


@pytest.mark.parametrize(
    "kind",
    [nn.Conv2d, Masked, Conditional, WithActivation, Scaled, Difference, Tempered, Broken],
    ids=lambda kind: kind.__name__,
)
def test_all_other_layers_stay_what_they_are(kind: type[nn.Conv2d]) -> None:
    module = kind(4, 6, 3)
    assert not mixes_its_weight(module)
    fix_weight_(module)
    assert type(module) is kind
    assert not mixes_its_weight(Rows(4, 6))


class Network(nn.Module):
    """Standardised filters under normalisation, as in BiT (Kolesnikov et al. 2020)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = Standardised(3, 16, 3, padding=1), nn.GroupNorm(8, 16)
        self.second, self.last = Standardised(16, 12, 3), nn.BatchNorm2d(12)
        self.fc = LowRank(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm(self.first(x)))
        found: Tensor = self.fc(F.relu(self.last(self.second(y))).mean((2, 3)))
        return found


def test_networks_of_them_are_cut_exactly_and_stay_whole_themselves() -> None:
    model = Network()
    names = ["first", "second", "fc"]
    assert with_computed_weights(model) == names
    small = check_exact(model)
    assert small.first.out_channels < 16
    assert type(small.first) is nn.Conv2d
    assert with_computed_weights(model) == names
    assert with_computed_weights(plain(model)) == []
