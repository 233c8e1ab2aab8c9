"""What each old pixel weighs in each new one."""

import pytest
import torch
import torch.nn.functional as F

from netslim.models.onnx_import.interpolation import Axis, Settings, nearest, outside, places, weights


def axis(old, new, **settings):
    return Axis(old=old, new=new, scale=new / old, **settings)


def rule(mode="linear", coordinates="half_pixel", **settings):
    return Settings(mode=mode, coordinates=coordinates, **settings)


@pytest.mark.parametrize(("old", "new"), [(5, 8), (8, 5), (9, 2), (3, 3), (4, 1)])
@pytest.mark.parametrize("antialias", [False, True])
def test_weights_are_those_of_torch(old, new, antialias):
    rows = torch.eye(old)[None, None]
    expected = F.interpolate(rows, (old, new), mode="bilinear", antialias=antialias)[0, 0]
    found = weights(axis(old, new), rule(antialias=antialias, exclude_outside=antialias))
    assert torch.allclose(found, expected, atol=1e-6)
    assert torch.allclose(found.sum(0), torch.ones(new))


def test_places_are_those_of_the_rule():
    assert places(axis(4, 2), rule()) == [0.5, 2.5]
    assert places(axis(4, 2), rule(coordinates="asymmetric")) == [0, 2]
    assert places(axis(5, 3), rule(coordinates="align_corners")) == [0, 2, 4]
    assert places(axis(5, 3, roi=(0.25, 0.75)), rule(coordinates="tf_crop_and_resize")) == [1, 2, 3]
    assert places(axis(5, 1, roi=(0.25, 0.75)), rule(coordinates="tf_crop_and_resize")) == [2]


@pytest.mark.parametrize(
    ("rounding", "picked"),
    [("floor", [0, 2]), ("ceil", [1, 3]), ("round_prefer_floor", [0, 2]), ("round_prefer_ceil", [1, 3])],
)
def test_a_place_between_two_pixels_is_rounded(rounding, picked):
    assert nearest(axis(4, 2), rule("nearest", nearest=rounding)).tolist() == picked


def test_places_beyond_the_border_are_told():
    cut = axis(5, 4, roi=(-0.25, 1.25))
    assert outside(cut, rule(coordinates="tf_crop_and_resize")).tolist() == [True, False, False, True]


def test_what_is_outside_weighs_at_the_border_or_nothing():
    held, left_out = (weights(axis(4, 8), rule("cubic", exclude_outside=without)) for without in (False, True))
    assert torch.allclose(held.sum(0), torch.ones(8))
    assert torch.allclose(left_out.sum(0), torch.ones(8))
    assert not torch.allclose(held[:, 0], left_out[:, 0])
    assert torch.allclose(held[:, 3], left_out[:, 3])
