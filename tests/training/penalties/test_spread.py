"""Histograms of scales against counts by hand."""

import torch

from netslim.training.penalties.spread import BINS, spread


def test_each_scale_is_counted_in_its_fifth_of_a_decade() -> None:
    found = spread([torch.tensor([0.0, 1e-5, -1e-4, 0.011]), torch.tensor([1.1, 99.0])])
    assert len(found["scale_histogram"]) == BINS
    assert {at: count for at, count in enumerate(found["scale_histogram"]) if count} == {0: 3, 10: 1, 20: 1, 24: 1}


def test_what_was_cut_off_counts_as_zero() -> None:
    scales = [torch.tensor([0.0, 0.5, 0.6])]
    assert spread(scales, 2) == spread([torch.tensor([0.0, 0.0, 0.0, 0.5, 0.6])])


def test_two_crowds_have_parted_and_one_has_not() -> None:
    crowd = torch.linspace(0.9, 1.1, 50)
    assert not spread([crowd])["scales_parted"]
    found = spread([crowd, crowd / 1000])
    assert found["scales_parted"]
    assert found["scale_separation"] > 0.99
    assert 900 < found["scale_gap"] < 1100


def test_equal_scales_have_no_separation() -> None:
    found = spread([torch.ones(5)])
    assert (found["scale_separation"], found["scale_gap"], found["scales_parted"]) == (0.0, 1.0, False)


def test_without_scales_or_with_broken_ones_there_is_nothing_to_say() -> None:
    assert spread([]) == spread([torch.tensor([float("nan")])]) == {}
