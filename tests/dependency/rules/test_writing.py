"""What is written into new tensors, or parts of them: they have its channels, and those beside it."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.pruning import plan
from pruning.kinds import Net, Part, check_exact, lively, pruned


def written_in_space(net: Net, y: torch.Tensor) -> torch.Tensor:
    found = torch.zeros_like(y)
    found[:, :, ::2] = y[:, :, ::2]
    return found


def written_by_copy(net: Net, y: torch.Tensor) -> torch.Tensor:
    found = y.new_zeros(y.shape)
    found[:, :, 1:].copy_(y[:, :, :-1])
    return found


def written_in_parts(net: Net, y: torch.Tensor) -> torch.Tensor:
    """A temporal shift: an eighth of the channels comes from the next image, another from the one before."""
    found, fold = torch.zeros_like(y), y.shape[1] // 8
    found[:-1, :fold] = y[1:, :fold]
    found[1:, fold : 2 * fold] = y[:-1, fold : 2 * fold]
    found[:, 2 * fold :] = y[:, 2 * fold :]
    return found


@pytest.mark.parametrize("write", [written_in_space, written_by_copy, written_in_parts])
def test_what_is_written_into_a_new_tensor_goes_with_it(write: Part) -> None:
    check_exact(Net(maps=write), percent=0.3)


def test_what_is_written_beside_something_else_stays() -> None:
    def beside_ones(net: Net, y: torch.Tensor) -> torch.Tensor:
        found = y.new_ones(y.shape[0], y.shape[1], 2 * y.shape[2], y.shape[3])
        found[:, :, ::2] = y
        return found

    with pytest.raises(UsageError, match="conv is not zero where it is read"):
        pruned(lively(Net(maps=beside_ones)))


def test_what_is_gone_says_nothing_of_what_takes_its_place_in_memory() -> None:
    def overwritten(net: Net, y: torch.Tensor) -> torch.Tensor:
        for _ in range(100):
            torch.zeros(3).detach()  # as prior boxes are made
        for _ in range(100):
            y = y / 2 + y.new_full(y.shape, 1.0).copy_(y)
        return y

    check_exact(Net(maps=overwritten), percent=0.3)


class Pair(nn.Module):
    """Two images' features, put together in one new tensor, as stereo networks fill a volume."""

    def __init__(self, join: str) -> None:
        super().__init__()
        self.left, self.right = (nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width)) for width in (16, 12))
        self.out, self.join = nn.Conv3d(28, 4, 1), join

    def forward(self, x: Tensor) -> Tensor:
        a, b = F.relu(self.left(x)), F.relu(self.right(x))
        found: Tensor = self.out(getattr(self, self.join)(a, b))
        return found

    def volume(self, a: Tensor, b: Tensor) -> Tensor:
        whole = torch.zeros(len(a), a.shape[1] + b.shape[1], 3, *a.shape[2:], dtype=a.dtype)
        for shift in range(3):
            whole[:, : a.shape[1], shift, :, shift:] = a[..., shift:]
            whole[:, a.shape[1] :, shift, :, shift:] = b[..., : b.shape[3] - shift]
        return whole

    def of_any_numbers(self, a: Tensor, b: Tensor) -> Tensor:
        whole = a.new_empty(len(a), a.shape[1] + b.shape[1], 1, *a.shape[2:])
        whole[:, -b.shape[1] :, 0], whole[:, : -b.shape[1], 0] = b, a
        return whole

    def of_fixed_size(self, a: Tensor, b: Tensor) -> Tensor:
        whole = a.new_zeros(len(a), 28, 1, *a.shape[2:])
        whole[:, :16, 0], whole[:, 16:, 0] = a, b
        return whole

    def never_filled(self, a: Tensor, b: Tensor) -> Tensor:
        whole = a.new_zeros(len(a), a.shape[1] + 12, 1, *a.shape[2:])
        whole[:, : a.shape[1], 0] = a
        return whole + b.mean(1, keepdim=True)[:, None]

    def read_too_early(self, a: Tensor, b: Tensor) -> Tensor:
        whole = a.new_zeros(len(a), a.shape[1] + b.shape[1], 1, *a.shape[2:])
        whole[:, : a.shape[1], 0] = a
        mean = whole.mean()
        whole[:, a.shape[1] :, 0] = b
        return whole * mean

    def along_two_dimensions(self, a: Tensor, b: Tensor) -> Tensor:
        whole = a.new_zeros(len(a), 28, 28, 14, 14)
        whole[:, : a.shape[1], 0], whole[:, 0, 16:] = a, b
        return whole


@pytest.mark.parametrize("join", ["volume", "of_any_numbers"])
def test_parts_beside_each_other_are_a_concatenation(join: str) -> None:
    assert plan(lively(Pair(join)), torch.randn(2, 3, 16, 16), percent=0.4).total == 28
    check_exact(Pair(join))


@pytest.mark.parametrize("join", ["of_fixed_size", "never_filled", "read_too_early", "along_two_dimensions"])
def test_what_is_not_all_written_or_of_fixed_size_stays(join: str) -> None:
    with pytest.raises(UsageError, match="has no channels that can go"):
        pruned(lively(Pair(join)), torch.randn(2, 3, 16, 16))


class Interleaved(nn.Module):
    """Streams whose channels take turns in one new tensor."""

    def __init__(self, count: int, first: int = 0) -> None:
        super().__init__()
        self.streams = nn.ModuleList(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)) for _ in range(count))
        self.out, self.first = nn.Conv2d(8 * count, 4, 1), first

    def forward(self, x: Tensor) -> Tensor:
        maps = [F.relu(stream(x)) for stream in self.streams]
        found = x.new_zeros(x.shape[0], len(maps) * maps[0].shape[1], *maps[0].shape[2:])
        for number in range(self.first, len(maps)):
            found[:, number :: len(maps)] = maps[number]
        given: Tensor = self.out(found)
        return given


@pytest.mark.parametrize("count", [2, 3])
def test_channels_that_take_turns_go_together(count: int) -> None:
    small = check_exact(Interleaved(count), percent=0.4)
    assert small.out.in_channels == count * small.streams[0][0].out_channels
    assert {stream[0].out_channels for stream in small.streams} == {small.streams[0][0].out_channels}


def test_they_stay_where_some_turns_are_left_out() -> None:
    with pytest.raises(UsageError, match="is written into a part of another tensor"):
        pruned(lively(Interleaved(2, first=1)))
