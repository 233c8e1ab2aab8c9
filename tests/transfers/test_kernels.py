"""Kernels at other sizes and for other images, in closed form."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from netslim.transfers.kernels import fit_inputs, resample

KERNEL = torch.randn(6, 3, 7, 7, generator=torch.Generator().manual_seed(0))
IMAGES = torch.randn(2, 1, 12, 12, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("given_size", "size"), [(7, 3), (7, 1), (3, 1), (11, 3), (5, 3), (1, 3), (2, 3)])
def test_each_filter_keeps_its_energy(given_size: int, size: int) -> None:
    kernel = torch.randn(5, 4, given_size, given_size, generator=torch.Generator().manual_seed(2))
    small = resample(kernel, size)
    assert small.shape == (5, 4, size, size)
    torch.testing.assert_close(small.square().sum((1, 2, 3)), kernel.square().sum((1, 2, 3)))


def test_the_same_size_is_the_identity() -> None:
    kernel = KERNEL[..., :3, :3]
    assert torch.equal(resample(kernel, 3), kernel)
    assert resample(kernel.half(), 3).dtype == torch.float32


def test_an_even_filter_stays_even() -> None:
    """All weights w of 7x7 become 3x3 weights of the same energy: 7 w / 3."""
    torch.testing.assert_close(resample(torch.full((2, 1, 7, 7), 0.3), 3), torch.full((2, 1, 3, 3), 0.7))


def test_a_1x1_is_the_filters_mean_direction() -> None:
    kernel = resample(torch.ones(1, 2, 3, 3) * torch.tensor([3.0, -4.0])[:, None, None], 1)
    torch.testing.assert_close(kernel.flatten(), torch.tensor([9.0, -12.0]))


def test_an_edge_keeps_its_orientation() -> None:
    edge = torch.linspace(-1, 1, 7).expand(1, 1, 7, 7)
    small = resample(edge, 3)[0, 0]
    torch.testing.assert_close(small, small[:1].expand(3, 3))
    assert small[0, 0] < -1.9 < 1.9 < small[0, 2]
    torch.testing.assert_close(small, -small.flip(1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [1, 3, 7])
def test_zero_filters_stay_zero(size: int) -> None:
    kernel = KERNEL.clone()
    kernel[2] = 0
    small = resample(kernel, size)
    assert small.isfinite().all()
    assert [bool(row.any()) for row in small] == [True, True, False, True, True, True]


def test_a_filter_without_a_mean_becomes_zero_not_noise() -> None:
    checks = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])[None, None]
    assert not resample(checks, 1).any()


def test_a_grey_image_gives_what_three_equal_colours_give() -> None:
    grey = F.conv2d(IMAGES, fit_inputs(KERNEL, 1), padding=3)
    torch.testing.assert_close(grey, F.conv2d(IMAGES.expand(-1, 3, -1, -1), KERNEL, padding=3), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [2, 3, 5, 7])
def test_a_grey_kernel_sees_the_mean_of_the_colours(channels: int) -> None:
    colours = IMAGES.expand(-1, channels, -1, -1) + torch.arange(channels)[:, None, None]
    found = F.conv2d(colours, fit_inputs(KERNEL[:, :1], channels))
    torch.testing.assert_close(found, F.conv2d(colours.mean(1, keepdim=True), KERNEL[:, :1]), rtol=1e-4, atol=1e-4)


def test_the_same_number_of_inputs_changes_nothing() -> None:
    assert torch.equal(fit_inputs(KERNEL, 3), KERNEL)


@given(st.integers(1, 6), st.integers(1, 12))
def test_inputs_are_repeated_in_turn_and_even_ones_keep_their_sum(inputs: int, channels: int) -> None:
    kernel = torch.ones(2, inputs, 1, 1)
    found = fit_inputs(kernel, channels)
    assert found.shape == (2, channels, 1, 1)
    torch.testing.assert_close(found.sum(1), kernel.sum(1))
    if channels > 1:
        numbered = torch.arange(inputs).float().view(1, -1, 1, 1)
        order = (fit_inputs(numbered, channels) * channels / inputs).flatten().round().int().tolist()
        assert order == [i % inputs for i in range(channels)]
