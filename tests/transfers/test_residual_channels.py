"""One index set per residual stream, and how it is chosen."""

import pytest
import torch
from source_networks import library_state
from torch import Tensor

from netslim.transfers.kernels import resample
from netslim.transfers.residual_channels import ResidualChannels
from netslim.transfers.resnet_layout import read_layout


def test_more_places_than_channels_are_filled_evenly() -> None:
    """timm's test_resnet ends in 96 channels for 256 places."""
    layout = read_layout(library_state("timm", "test_resnet"))
    counts = torch.bincount(ResidualChannels(layout, 16, "spacing", consistent=True).channels(4))
    assert len(counts) == 96
    assert 1 <= counts.min() <= counts.max() <= 4


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return library_state("torchvision", "resnet50")


def test_by_spacing(state: dict[str, Tensor]) -> None:
    streams = ResidualChannels(read_layout(state), 16, "spacing", consistent=True)
    assert streams.channels(0).tolist() == list(range(0, 64, 4))
    assert streams.channels(1).tolist() == list(range(0, 256, 4))


def test_by_importance_the_channels_that_are_written_most_strongly(state: dict[str, Tensor]) -> None:
    """The sum of |gamma| over all BatchNorms that write to the stream: of each block, and of the projection."""
    wanted = torch.arange(3, 195, 3)
    writers = [f"layer1.{block}.bn3" for block in range(3)] + ["layer1.0.downsample.1"]
    strong = torch.ones(256).index_fill(0, wanted, -2.0)
    scales = {f"{writers[index % 4]}.weight": strong for index in range(4)}
    streams = ResidualChannels(read_layout(state | scales), 16, "importance", consistent=True)
    assert streams.channels(1).tolist() == wanted.tolist()


def test_inconsistent_ones_are_drawn_anew_and_equal_for_equal_calls(state: dict[str, Tensor]) -> None:
    first, again = (ResidualChannels(read_layout(state), 16, "spacing", consistent=False) for _ in range(2))
    drawn = [first.channels(2).tolist() for _ in range(3)]
    assert len({tuple(channels) for channels in drawn}) == 3
    assert drawn == [again.channels(2).tolist() for _ in range(3)]
    assert all(channels == sorted(set(channels)) for channels in drawn)


def test_of_all_links_that_are_left_the_strongest_is_taken() -> None:
    """Between the third stage's chosen channels and the fourth's, which take their places."""
    layout = read_layout(library_state("timm", "test_resnet"))
    streams = ResidualChannels(layout, 16, "spacing", consistent=True)
    shortcut, before = layout.stages[3][0].shortcut, streams.channels(3)
    assert shortcut is not None
    links = resample(shortcut.weight[:, before], 1)[..., 0, 0].abs()
    if shortcut.norm is not None:
        links = links * shortcut.norm.factor.abs()[:, None]
    pairs = sorted((-float(links[row, place]), row, place) for row in range(96) for place in range(len(before)))
    expected = streams.channels(4).clone()
    rows, places = set[int](), set[int]()
    for _, row, place in pairs:
        if row not in rows and place not in places:
            expected[place] = row
            rows.add(row)
            places.add(place)
    assert len(rows) == min(96, len(before))
    assert torch.equal(streams.channels(4), expected)
