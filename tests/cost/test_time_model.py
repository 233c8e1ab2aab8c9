"""Times of parts over widths, and their sum."""

import pytest

from netslim.cost.time_model import Part, Surface, TimeModel, Width


def test_a_width_falls_with_its_groups() -> None:
    width = Width(24, ((0, 1), (2, 4)))
    assert width.at([0, 9, 0]) == 24
    assert width.at([3, 9, 2]) == 24 - 3 - 8


def test_a_surface_is_linear_between_measured_widths_and_flat_inside_a_step() -> None:
    seconds = {(a, b): float(a * b) for a in (8, 16, 32) for b in (8, 16, 32)}
    surface = Surface(((8, 16, 32), (8, 16, 32)), seconds, 8)
    assert surface.at((16, 32)) == 512
    assert surface.at((24, 16)) == 24 * 16
    assert surface.at((24, 24)) == 24 * 24
    assert surface.at((17, 16)) == surface.at((24, 16))
    assert surface.at((3, 8)) == 64  # the smallest measured
    assert surface.at((0, 8)) == 0
    assert surface.at((64, 8)) == 32 * 8  # beyond the largest


def test_the_sum_counts_what_is_left() -> None:
    flat = Surface(((8, 16),), {(8,): 1.0, (16,): 3.0}, 8)
    wide, block = Width(16, ((0, 1),)), Width(16, ((1, 1),))
    parts = [Part((wide,), flat), Part((block,), flat, frozenset({"b"}))]
    times = TimeModel(parts, 2, 8)
    assert times.at([0, 0]) == 6
    assert times.at([8, 0]) == 4
    assert times.at([8, 0], frozenset({"b"})) == 1
    assert times.of_group(0, [8, 0]) == 1
    assert times.of_block("b", [0, 8]) == 1
    assert times.of_block("c", [0, 8]) == 0


@pytest.mark.parametrize(("width", "expected"), [(4, 1.0), (5, 2.0), (8, 2.0)])
def test_half_a_step_can_be_measured(width: int, expected: float) -> None:
    assert Surface(((4, 8),), {(4,): 1.0, (8,): 2.0}, 8).at((width,)) == expected
