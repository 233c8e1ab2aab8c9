"""Pictures of what a network was given."""

import io

import torch
from PIL import Image

from netslim.stages.report.images import SIDE, _Tally, png_of


def test_pixels_are_kept_in_colour_and_in_grey() -> None:
    colour = torch.tensor([0.0, 0.5, 2.0]).view(3, 1, 1).expand(3, 2, 2)
    with Image.open(io.BytesIO(png_of(colour))) as picture:
        assert (picture.size, picture.getpixel((0, 0))) == ((2, 2), (0, 128, 255))
    with Image.open(io.BytesIO(png_of(torch.ones(1, 300, 200)))) as picture:
        assert (picture.size, picture.getpixel((0, 0))) == ((SIDE * 2 // 3, SIDE), (255, 255, 255))


def test_right_and_wrong_are_counted_by_hand() -> None:
    large, small = torch.eye(3)[[0, 1, 2, 0]], torch.eye(3)[[0, 2, 1, 0]]
    tally = _Tally(3)
    for at in (slice(0, 3), slice(3, 4)):
        tally.add_(torch.zeros(4, 1, 2, 2)[at], torch.tensor([0, 1, 1, 2])[at], large[at], small[at])
    assert tally.confusion.tolist() == [[1, 0, 0], [0, 1, 1], [1, 0, 0]]
    assert (tally.images, tally.small_right, tally.large_right, tally.only_large, tally.only_small) == (4, 2, 2, 1, 1)
    assert [(one.number, one.truth, one.small, one.large) for one in tally.seen] == [(1, 1, 2, 1)]
