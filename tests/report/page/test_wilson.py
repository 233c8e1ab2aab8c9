"""Intervals and the sign test against numbers worked out elsewhere."""

import pytest

from netslim.report.page.wilson import sign_test, wilson_interval


def test_the_interval_solves_wilsons_equation() -> None:
    for share, count in ((0.9, 100), (0.0, 10), (1.0, 360), (0.5, 1)):
        for bound in wilson_interval(share, count):
            assert (bound - share) ** 2 == pytest.approx(1.959964**2 * bound * (1 - bound) / count, abs=1e-9)


def test_ten_of_ten_are_not_certain_and_no_image_says_nothing() -> None:
    assert wilson_interval(1.0, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson_interval(1.0, 0) == (0.0, 1.0)


def test_the_sign_test_is_binomial() -> None:
    assert sign_test(0, 0) == sign_test(3, 3) == 1.0
    assert sign_test(5, 0) == sign_test(0, 5) == pytest.approx(2 / 32)
    assert sign_test(2, 5) == pytest.approx(2 * (1 + 7 + 21) / 128)
    assert 0 < sign_test(5300, 5000) < 0.01  # whole numbers beyond what a float holds
