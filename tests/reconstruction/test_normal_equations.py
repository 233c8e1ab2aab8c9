"""Least squares from sums, in closed form."""

import torch

from netslim.reconstruction.normal_equations import RIDGES, Sums, fitted

TRUTH = torch.tensor([[[1.0, 2.0], [0.0, -1.0], [3.0, 0.5]]], dtype=torch.float64)


def sums_of(rows: torch.Tensor, residuals: torch.Tensor) -> Sums:
    found = Sums(TRUTH)
    for x, r in zip(rows.split(5, dim=1), residuals.split(5, dim=1), strict=True):
        found.add(x, r)
    return found


def test_what_is_linear_is_found() -> None:
    rows = torch.randn(1, 40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    fit = fitted(sums_of(rows[:, :30], rows[:, :30] @ TRUTH), sums_of(rows[:, 30:], rows[:, 30:] @ TRUTH), free=0)
    torch.testing.assert_close(fit.change, TRUTH, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(fit.before, float((rows[:, 30:] @ TRUTH).square().sum()))
    assert fit.after < 1e-6 * fit.before


def test_the_constant_is_not_held_back() -> None:
    rows = torch.zeros(1, 20, 3, dtype=torch.float64)
    rows[..., 0] = torch.randn(20, generator=torch.Generator().manual_seed(0)) * 1e3
    rows[..., 2] = 1
    residuals = torch.full((1, 20, 2), 5.0, dtype=torch.float64)
    fit = fitted(sums_of(rows, residuals), sums_of(rows, residuals), free=1, ridges=(1.0,))
    torch.testing.assert_close(fit.change[0, 2], torch.full((2,), 5.0, dtype=torch.float64), rtol=1e-6, atol=0)


def test_what_does_not_hold_on_other_images_is_left() -> None:
    rows = torch.randn(1, 10, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    fit = fitted(sums_of(rows, rows @ TRUTH), sums_of(rows, -(rows @ TRUTH)), free=0)
    assert not fit.change.any()
    assert fit.after == fit.before


def test_fewer_rows_than_inputs_and_none_at_all() -> None:
    row = torch.tensor([[[1.0, 1.0, 0.0]]], dtype=torch.float64)
    fit = fitted(sums_of(row, row @ TRUTH), sums_of(row, row @ TRUTH), free=0)
    torch.testing.assert_close(row @ fit.change, row @ TRUTH, rtol=1e-3, atol=0)
    nothing = fitted(Sums(TRUTH), Sums(TRUTH), free=0)
    assert not nothing.change.any()


def test_groups_choose_their_ridge_by_themselves() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(2, 3, 2, dtype=torch.float64, generator=generator)
    rows = torch.randn(2, 40, 3, dtype=torch.float64, generator=generator)
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64)[:, None, None]
    first, other = Sums(truth), Sums(truth)
    first.add(rows, rows @ truth)
    other.add(rows, signs * (rows @ truth))
    fit = fitted(first, other, free=0)
    assert fit.change[0].any()
    assert not fit.change[1].any()
    assert min(RIDGES) > 0


def test_small_weights_are_preferred_to_large_ones_that_cancel_each_other() -> None:
    generator = torch.Generator().manual_seed(0)
    one, apart, noise = torch.randn(3, 400, dtype=torch.float64, generator=generator)
    rows = torch.stack([one, one + 0.01 * apart], 1)[None]  # nearly the same input twice
    wanted = (one + 0.1 * apart + noise)[None, :, None]  # but for the noise -9 and 10 times these
    first, other = (Sums(rows.new_zeros(1, 2, 1)) for _ in range(2))
    first.add(rows[:, :300], wanted[:, :300])
    other.add(rows[:, 300:], wanted[:, 300:])
    fit = fitted(first, other, free=0)
    torch.testing.assert_close(fit.change.sum(), torch.tensor(1.0, dtype=torch.float64), rtol=0, atol=0.15)
    assert fit.change.abs().max() < 1
    assert fitted(first, other, free=0, ridges=RIDGES[:1]).change.abs().max() > 2
