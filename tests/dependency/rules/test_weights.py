"""Weights that are turned round, or seen with dimensions of one more or less, go with their channels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.cost import count_macs
from netslim.dependency.rules.weights import _same_sides
from pruning.kinds import IMAGES, check_exact


class Mixed(nn.Module):
    """A weight in between two BatchNorms, applied by a function of one's own."""

    def __init__(self, act: Callable[[Tensor, Tensor], Tensor], shape: tuple[int, ...]) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16)
        self.weight = nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
        self.last, self.head, self.act = nn.BatchNorm2d(12), nn.Conv2d(12, 4, 1), act

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(F.relu(self.bn(self.conv(x))), self.weight)
        found: Tensor = self.head(F.relu(self.last(x)))
        return found


WAYS = {
    "einsum": (lambda x, w: torch.einsum("bchw,cd->bdhw", x, w), (16, 12)),
    "einsum, the weight first": (lambda x, w: torch.einsum("oc,bchw->bohw", w, x), (12, 16)),
    "tensordot": (lambda x, w: torch.tensordot(x, w, dims=([1], [0])).permute(0, 3, 1, 2), (16, 12)),
    "product, the weight first": (lambda x, w: (w @ x.flatten(2)).unflatten(2, x.shape[2:]), (12, 16)),
    "a matrix as kernels": (lambda x, w: F.conv2d(x, w[:, :, None, None]), (12, 16)),
    "a matrix viewed as kernels": (lambda x, w: F.conv2d(x, w.view(*w.shape, 1, 1)), (12, 16)),
    "a transposed matrix as kernels": (lambda x, w: F.conv2d(x, w.t().unsqueeze(2).unsqueeze(3)), (16, 12)),
    "kernels as a matrix": (lambda x, w: F.linear(x.movedim(1, 3), w.squeeze()).movedim(3, 1), (12, 16, 1, 1)),
    "kernels flattened": (lambda x, w: F.linear(x.movedim(1, 3), w.flatten(1)).movedim(3, 1), (12, 16, 1, 1)),
}


@pytest.mark.parametrize("way", WAYS)
def test_channels_on_both_sides_go(way: str) -> None:
    model = Mixed(*WAYS[way])
    small = check_exact(model, percent=0.5)
    left = (small.bn.num_features, small.last.num_features)
    assert max(left) < 16
    assert sum(left) == 13
    assert sorted(small.weight.squeeze().shape) == sorted(left)
    assert count_macs(small, IMAGES) == 100 * (27 * left[0] + left[0] * left[1] + left[1] * 4)


@pytest.mark.parametrize(
    ("before", "after", "dims"),
    [
        ([(5, 0), (7, 1)], (1, 5, 7), [None, 0, 1]),
        ([(1, 0), (7, 1)], (1, 1, 7), [None, 0, 1]),
        ([(7, 0), (1, 1)], (1, 7, 1), [None, 0, 1]),
        ([(5, 0), (1, 1), (1, 2), (1, 3)], (5, 1), [0, 1]),
        ([(5, 0), (7, 1)], (7, 5), None),
        ([(5, 0), (7, 1)], (35,), None),
        ([(6, 0), (2, 1)], (6, 1, 2), [0, None, 1]),
        ([(2, None), (7, 1)], (2, 7), [None, 1]),
    ],
)
def test_sides_of_one_come_and_go(before: list[tuple[int, int | None]], after: tuple[int, ...], dims: object) -> None:
    assert _same_sides(before, after) == dims


def test_a_weight_whose_numbers_are_mixed_is_computed() -> None:
    model = Mixed(lambda x, w: F.conv2d(x, w.view(12, 4, 4).mT.flatten(1)[..., None, None]), (12, 16))
    with pytest.raises(UsageError, match=r"conv is read by convolution at .*, whose weight is computed"):
        check_exact(model)
