"""Round numbers on axes, and where they begin."""

import pytest

from netslim.report.page.drawings.axes import lowest_shown, ticks


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [(0.9, 1.0, [0.9, 0.92, 0.94, 0.96, 0.98, 1.0]), (0, 7, [0, 2, 4, 6]), (3, 3, [3]), (-1, 1, [-1, -0.5, 0, 0.5, 1])],
)
def test_ticks_are_round_and_within(low: float, high: float, found: list[float]) -> None:
    assert ticks(low, high) == found


def test_an_axis_begins_below_what_must_be_seen_and_most_values() -> None:
    assert lowest_shown([0.1, 0.9, 0.95, 0.96, 1.0], []) == pytest.approx(0.9 - 0.15 * 0.1)
    assert lowest_shown([0.9, 1.0], [0.5]) == pytest.approx(0.5 - 0.15 * 0.5)
    assert lowest_shown([], []) == 0.0
