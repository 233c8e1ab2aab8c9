"""Writing at places, single numbers, Fourier transforms and masks: exact beside the channels, and left alone across."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import netslim
from netslim.core.errors import UsageError
from pruning.kinds import IMAGES, Net, check_exact, lively

PAIRS = torch.arange(10) // 2
Maps = Callable[[Net, Tensor], Tensor]


def written(y: Tensor, value: float) -> Tensor:
    y = y.clone()
    y[:, :, 2] = value
    return y


def places(y: Tensor) -> Tensor:
    return PAIRS.view(1, 1, -1, 1).expand(len(y), y.shape[1], -1, y.shape[3])


ALONG: dict[str, Maps] = {
    "index_add": lambda s, y: torch.zeros_like(y).index_add(2, PAIRS, y),
    "index_add in place": lambda s, y: y.clone().index_add_(3, PAIRS[:2], y[..., :2], alpha=2),
    "index_copy": lambda s, y: torch.zeros_like(y).index_copy(3, torch.arange(9, -1, -1), y),
    "scatter_add": lambda s, y: torch.zeros_like(y).scatter_add(2, places(y), y),
    "scatter_reduce": lambda s, y: torch.zeros_like(y).scatter_reduce(2, places(y), y, "amax"),
    "gather at places of all channels": lambda s, y: y.gather(2, places(y)),
    "scatter into what is seen otherwise": lambda s, y: (
        y.flatten(2).scatter(2, places(y)[..., 0], y[..., 0]).view_as(y)
    ),
    "a zero written": lambda s, y: written(y, 0.0),
    "zeros": lambda s, y: y + y.clone().zero_(),
    "spectrum": lambda s, y: torch.fft.fft2(y).abs(),
    "low pass": lambda s, y: torch.fft.irfft2(torch.fft.rfft2(y) * (torch.arange(6) < 3), s=(10, 10)),
    "as pairs": lambda s, y: torch.view_as_real(torch.fft.fft2(y)).sum(-1),
    "from pairs": lambda s, y: torch.view_as_complex(torch.stack([y, y], -1)).abs(),
    "phase": lambda s, y: torch.polar(y, y).real,
    "turned": lambda s, y: torch.rot90(y, 1, (2, 3)),
    "logsumexp of places": lambda s, y: y * y.logsumexp((2, 3), keepdim=True),
}


@pytest.mark.parametrize("name", ALONG)
def test_beside_the_channels_it_is_exact(name: str) -> None:
    small = check_exact(Net(maps=ALONG[name]))
    assert small.conv.out_channels < 16


ACROSS: dict[str, Maps] = {
    "index_add to ones": lambda s, y: torch.ones_like(y).index_add(2, PAIRS, y),
    "index_add of channels": lambda s, y: y.index_add(1, PAIRS[:2], y[:, :2]),
    "scatter at places of their own": lambda s, y: torch.zeros_like(y).scatter(2, y.argsort(2), y),
    "a one written": lambda s, y: written(y, 1.0),
    "spectrum of channels": lambda s, y: torch.fft.fft(y, dim=1).abs(),
    "logsumexp of channels": lambda s, y: y * y.logsumexp(1, keepdim=True),
    "logsumexp read": lambda s, y: y.logsumexp((2, 3), keepdim=True),
}


def into_ones(y: Tensor, make: Callable[[Tensor], Tensor]) -> Tensor:
    room = make(y.new_zeros(y.shape))
    room[:, :, ::2] = y[:, :, ::2]
    return room


def with_a_row(room: Tensor) -> Tensor:
    room[:, :, 1] = 5
    return room


def with_a_line(room: Tensor) -> Tensor:
    room[:, :, 1::2] = torch.ones(10)
    return room


ACROSS |= {
    "zeros and one": lambda s, y: into_ones(y, lambda room: room.add_(1)),
    "zeros filled": lambda s, y: into_ones(y, lambda room: room.fill_(1)),
    "zeros and a row": lambda s, y: into_ones(y, with_a_row),
    "zeros and a line": lambda s, y: into_ones(y, with_a_line),
    "zeros like it and a row": lambda s, y: into_ones(y, lambda room: with_a_row(torch.zeros_like(y))),
    "what a view was taken of": lambda s, y: (y.flatten(2), y.fill_(1.0))[0].unflatten(2, (10, 10)),
}


@pytest.mark.parametrize("name", ACROSS)
def test_across_the_channels_all_stay(name: str) -> None:
    with pytest.raises(UsageError, match=r"^Net has no channels that can go: conv "):
        netslim.plan(lively(Net(maps=ACROSS[name])), IMAGES, percent=0.4)


class Masked(Net):
    """A mask of truth values in a buffer, one for each channel or place."""

    def __init__(self, maps: Maps, *, places: bool = False) -> None:
        super().__init__(maps=maps)
        self.register_buffer("mask", torch.arange(10) % 3 > 0 if places else (torch.arange(16) % 3 > 0)[:, None, None])


@pytest.mark.parametrize(
    "network",
    [
        Masked(lambda s, y: y * s.mask),
        Masked(lambda s, y: torch.where(s.mask, y, torch.zeros_like(y))),
        Masked(lambda s, y: y.masked_fill(~s.mask, 0)),
    ],
    ids=["times", "where", "filled"],
)
def test_masks_of_channels_are_cut_with_them(network: nn.Module) -> None:
    small = check_exact(network)
    assert len(small.mask) == small.conv.out_channels < 16
    assert small.mask.dtype == torch.bool


def test_what_a_mask_makes_of_a_silent_channel_counts() -> None:
    network = lively(Masked(lambda s, y: y.masked_fill(s.mask, 1.0)))
    with pytest.raises(UsageError, match="conv is not zero where it is read"):
        netslim.plan(network, IMAGES, percent=0.4)


def zeroed(y: Tensor, mask: Tensor) -> Tensor:
    y = y.clone()
    y[..., mask] = 0
    return y


@pytest.mark.parametrize("maps", [lambda s, y: y[..., s.mask], lambda s, y: zeroed(y, s.mask)], ids=["read", "written"])
def test_masks_of_places_are_no_decisions(maps: Maps) -> None:
    check_exact(Masked(maps, places=True))


class Keypoints(nn.Module):
    """What maps have where each of some others is largest."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16)
        self.heat, self.out = nn.Conv2d(16, 6, 1), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        maps = torch.relu(self.bn(self.conv(x)))
        at = self.heat(maps).flatten(2).argmax(2)
        found: Tensor = self.out(maps.flatten(2).gather(2, at[:, None].expand(-1, maps.shape[1], -1)).transpose(1, 2))
        return found


def test_places_that_others_say_are_the_same_for_all_channels() -> None:
    small = check_exact(Keypoints())
    assert small.out.in_features == small.conv.out_channels < 16
    assert small.heat.out_channels == 6


def test_places_of_the_first_channels_alone_pick_these() -> None:
    network = lively(Net(maps=lambda s, y: torch.cat([y.gather(2, places(y)[:, :1].expand(-1, 8, -1, -1))] * 2, 1)))
    with pytest.raises(UsageError, match="conv is picked by its number"):
        netslim.plan(network, IMAGES, percent=0.4)
