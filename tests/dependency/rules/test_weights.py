"""Weights that are turned round, or seen with dimensions of one more or less, go with their channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.networks.example import Inputs
from netslim.cost import count_macs, measure
from netslim.dependency.find_groups import find_groups
from netslim.dependency.rules.weights import _same_sides
from netslim.pruning import apply, plan, verify
from pruning.kinds import IMAGES, check_exact, lively


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


class Computed(nn.Module):
    """A convolution whose weight is made of a parameter by a test, between two others."""

    def __init__(self, make: Callable[[Computed, Tensor], Tensor]) -> None:
        super().__init__()
        self.stem, self.stem_bn = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.middle, self.bn, self.out = nn.Conv2d(8, 6, 3), nn.BatchNorm2d(6), nn.Conv2d(6, 4, 1)
        self.register_buffer("mask", (torch.rand(6, 8, 3, 3) > 0.4).float())
        self.register_buffer("corner", torch.tensor([[1.0, 1, 1], [1, 1, 0], [0, 0, 0]]))
        self.rows, self.inputs = nn.Parameter(torch.rand(6) + 0.5), nn.Parameter(torch.rand(1, 8, 1, 1) + 0.5)
        self.make = make

    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(self.stem_bn(self.stem(x)))
        y = F.conv2d(y, self.make(self, self.middle.weight), self.middle.bias)
        found: Tensor = self.out(torch.tanh(self.bn(y)))
        return found


MASKED: dict[str, Callable[[Computed, Tensor], Tensor]] = {
    "a mask": lambda s, w: w * s.mask,
    "a mask in front": lambda s, w: s.mask * w,
    "a mask in place": lambda s, w: w.data.mul_(s.mask),
    "a kernel's profile": lambda s, w: w * s.corner,
    "rows": lambda s, w: w * s.rows[:, None, None, None],
    "inputs": lambda s, w: w * s.inputs,
    "all of them": lambda s, w: s.rows.view(-1, 1, 1, 1) * (w * s.mask).sign() * s.inputs * s.corner,
    "BatchNorm": lambda s, w: w * (s.bn.weight / (s.bn.running_var + 1e-5).sqrt()).reshape(-1, 1, 1, 1),
}


def check_cut_on_both_sides(model: nn.Module) -> None:
    """The middle layer's weight loses channels that it reads and channels that it gives."""
    images = torch.randn(2, 3, 8, 8)
    decided = plan(model, images, percent=0.4, criterion="l2_norm")
    small = apply(model, decided)
    assert decided.total == 14
    assert small.middle.weight.shape[:2] == (small.out.in_channels, small.stem.out_channels)
    assert sum(small.middle.weight.shape[:2]) < 14
    assert verify(model, small, images).holds
    assert decided.after == measure(small, images)


@pytest.mark.parametrize("name", MASKED)
def test_a_weight_times_a_mask_or_its_rows_is_that_weight(name: str) -> None:
    check_cut_on_both_sides(lively(Computed(MASKED[name])))


ROWS: dict[str, Callable[[Computed, Tensor], Tensor]] = {
    "XNOR": lambda s, w: w.sign() * w.abs().mean((1, 2, 3), keepdim=True),
    "largest of a row": lambda s, w: w * w.amax((1, 2, 3))[:, None, None, None],
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_weighed_by_themselves_can_go_and_what_they_read_stays(name: str) -> None:
    model, images = lively(Computed(ROWS[name])), torch.randn(2, 3, 8, 8)
    small = apply(model, plan(model, images, percent=0.4))
    assert small.middle.weight.shape[:2] == (small.out.in_channels, 8)
    assert small.out.in_channels < 6
    assert verify(model, small, images).holds


KEPT: dict[str, Callable[[Computed, Tensor], Tensor]] = {
    "a mask added": lambda s, w: w + s.mask,
    "divided by its rows": lambda s, w: w / w.abs().sum((1, 2, 3), keepdim=True),
    "a mask made in the call": lambda s, w: w * (torch.arange(6) % 2).view(-1, 1, 1, 1),
    "standardised": lambda s, w: w - w.mean((1, 2, 3), keepdim=True),
    "the same for all added": lambda s, w: w + F.softmax(s.corner, 0),
    "ones around it": lambda s, w: F.pad(w[..., 1:-1, 1:-1], [1, 1, 1, 1], value=1.0),
    "more inputs around it": lambda s, w: F.pad(w, [0, 0, 0, 0, 0, 8])[:, :8],
}


@pytest.mark.parametrize("name", KEPT)
def test_weights_that_are_something_else_stay(name: str) -> None:
    model = lively(Computed(KEPT[name]))
    with pytest.raises(UsageError, match="has no channels that can go: "):
        plan(model, torch.randn(2, 3, 8, 8), percent=0.4)


class Added(Computed):
    """Other weights beside it: of its own shape, of a smaller kernel, and of one for each of its sides."""

    def __init__(self, make: Callable[[Computed, Tensor], Tensor]) -> None:
        super().__init__(make)
        self.twin, self.small = nn.Parameter(torch.randn(6, 8, 3, 3)), nn.Parameter(torch.randn(6, 8, 1, 1))
        self.flat, self.same = nn.Parameter(torch.randn(6, 8, 1, 3)), nn.Parameter(torch.randn(3, 3))
        self.register_buffer("noise", torch.randn(6, 8, 3, 3))


ADDED: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "another weight": lambda s, w: w + s.twin,
    "a 1x1 kernel": lambda s, w: F.pad(s.small, [1, 1, 1, 1]) - w,
    "broadcast": lambda s, w: torch.add(w, s.small, alpha=0.5),
    "three": lambda s, w: s.twin + (w + F.pad(s.flat, [0, 0, 1, 1])) / 2,
    "noise of a size that is learnt": lambda s, w: w + s.twin * s.noise,
    "its kernel's mean": lambda s, w: w - 0.7 * w.mean((2, 3), keepdim=True),
    "by rows": lambda s, w: (w + s.twin) * s.rows[:, None, None, None],
}


@pytest.mark.parametrize("name", ADDED)
def test_weights_that_are_added_are_one(name: str) -> None:
    check_cut_on_both_sides(lively(Added(ADDED[name])))


def test_a_channel_is_silent_where_all_weights_are_that_are_added() -> None:
    found = find_groups(lively(Added(ADDED["three"])), Inputs.of(torch.randn(2, 3, 8, 8))).groups
    silenced = {part.tensor for group in found if group.scales == ("bn",) for part in group.slices if part.produces}
    assert silenced >= {"middle.weight", "middle.bias", "twin", "flat"}


class CentralDifference(nn.Module):
    """A convolution less one by its kernel's sum, and a filter of spectra in a parameter of pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.stem_bn = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.middle, self.bn, self.out = nn.Conv2d(8, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Conv2d(6, 4, 1)
        self.spectrum = nn.Parameter(torch.rand(6, 6, 4, 2))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(self.stem_bn(self.stem(x)))
        weight = self.middle.weight
        y = self.bn(self.middle(y) - 0.7 * F.conv2d(y, weight.sum(2).mean(2)[:, :, None, None]))
        y = torch.fft.irfft2(torch.fft.rfft2(y) * torch.view_as_complex(self.spectrum), s=y.shape[-2:])
        found: Tensor = self.out(torch.tanh(y))
        return found


def test_sums_of_a_kernel_and_pairs_of_numbers_are_that_weight() -> None:
    torch.manual_seed(0)
    model, images = lively(CentralDifference()), torch.randn(2, 3, 8, 8)
    decided = plan(model, images, percent=0.4)
    small = apply(model, decided)
    assert decided.total == 14
    assert small.spectrum.shape[0] == small.middle.out_channels == small.out.in_channels
    assert sum(small.middle.weight.shape[:2]) < 14
    assert verify(model, small, images).holds
    assert decided.after == measure(small, images)


class Parts(nn.Module):
    """Parts of tables and weights: positions, experts, rows of a projection, the middle of a kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.stem_bn = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.middle, self.bn = nn.Conv2d(8, 6, 5), nn.BatchNorm2d(6)
        self.positions, self.experts = nn.Parameter(torch.randn(1, 40, 6)), nn.Parameter(torch.randn(2, 6, 6) / 2)
        self.projection, self.last_bn, self.out = (
            nn.Parameter(torch.randn(12, 6) / 2),
            nn.BatchNorm1d(6),
            nn.Linear(6, 4),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(self.stem_bn(self.stem(x)))
        y = self.bn(F.conv2d(y, self.middle.weight[:, :, 1:4, 1:-1], self.middle.bias)).flatten(2).mT
        y = y + self.positions[:, : y.shape[1]] + self.positions[:, -1]
        y = y @ self.experts[0] + sum(F.linear(y, expert) for expert in self.experts)
        values, gates = (F.linear(y, own) for own in self.projection.chunk(2))
        found: Tensor = self.out(self.last_bn((values * gates).mT).mean(2))
        return found


def test_parts_of_weights_go_with_the_channels_of_their_other_dimensions() -> None:
    torch.manual_seed(0)
    model, images = lively(Parts()), torch.randn(2, 3, 9, 9)
    decided = plan(model, images, percent=0.5, criterion="l2_norm")
    small = apply(model, decided)
    assert small.positions.shape[:2] == (1, 40)
    assert small.positions.shape[2] == small.middle.out_channels == small.experts.shape[1] < 6
    assert small.experts.shape[2] == small.projection.shape[1]
    assert small.projection.shape[0] == 12
    assert verify(model, small, images).holds
    assert decided.after == measure(small, images)


def test_along_the_dimension_that_is_parted_nothing_goes() -> None:
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn, self.out = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1)
            self.table = nn.Parameter(torch.randn(9, 6, 6))

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.out(self.bn(self.conv(x)) * self.table[: x.shape[1] + 5])
            return found

    with pytest.raises(UsageError, match="has no channels that can go: "):
        plan(lively(Positions()), torch.randn(2, 3, 8, 8), percent=0.4)
