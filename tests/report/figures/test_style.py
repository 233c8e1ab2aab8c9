"""What all pictures share."""

from netslim.report.figures.style import SERIES, series_colours, tint


def test_colours_begin_again_after_the_last() -> None:
    assert series_colours(len(SERIES) + 1) == [*SERIES, SERIES[0]]


def test_a_tint_is_mixed_with_white() -> None:
    assert [tint("#0072B2", strength) for strength in (1, 0)] == ["#0072b2", "#ffffff"]
    assert tint("#000000", 0.5) == "#808080"
