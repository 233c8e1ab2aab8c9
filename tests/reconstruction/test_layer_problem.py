"""Which layers can be fitted, and on which images."""

import torch
from torch import Tensor, nn

from netslim.reconstruction.layer_problem import HELD_OUT, are_one_map, held_out, is_linear


class Standardised(nn.Conv2d):
    """Computes with another weight than it has."""

    def forward(self, x: Tensor) -> Tensor:
        """As a convolution with its weight's mean taken off."""
        return self._conv_forward(x, self.weight - self.weight.mean(), self.bias)


class Same(nn.Conv2d):
    """Pads by itself, so that it gives more than its settings say."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(nn.functional.pad(x, (1, 1, 1, 1)))


class Transposed(nn.Linear):
    """Reads channels that come first."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, -1)).transpose(1, -1)


class Tempered(nn.Linear):
    """Takes more than its input."""

    def forward(self, x: Tensor, temperature: float) -> Tensor:  # type: ignore[override]
        return super().forward(x) / temperature


def test_layers_that_compute_what_their_class_does_are_linear() -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 4, 6, 6)
    assert is_linear(nn.Conv2d(4, 6, 3, padding=1, groups=2), images)
    assert is_linear(nn.Linear(4, 3), torch.randn(5, 4))
    assert not is_linear(Standardised(4, 6, 3), images)
    assert not is_linear(Same(4, 6, 3), images)
    assert not is_linear(Transposed(4, 6), images)
    assert not is_linear(Tempered(6, 4), images)


def test_one_image_in_so_many_is_held_out_whatever_the_batches_are() -> None:
    whole = held_out(torch.arange(12), 0)
    assert torch.equal(torch.cat([held_out(torch.arange(5), 0), held_out(torch.arange(7), 5)]), whole)
    assert int(whole.sum()) == 12 // HELD_OUT


def test_layers_of_one_weight_are_one_map_if_they_do_the_same_with_it() -> None:
    layer = nn.Linear(4, 3)
    tied = nn.Linear(4, 3)
    tied.weight = layer.weight
    assert are_one_map([layer])
    assert not are_one_map([layer, tied])  # two biases
    tied.bias = layer.bias
    assert are_one_map([layer, tied])
    assert not are_one_map([nn.ConvTranspose2d(4, 4, 2, groups=2)])
