"""Prunings that were tried: places against values, by hand."""

import pytest

from drawings.elements import of_class, titles
from netslim.report.page.drawings.trials import (
    ABOVE,
    BELOW,
    COLOURS,
    LEFT,
    RIGHT,
    ROW,
    LayerLoss,
    Series,
    draw_layers,
    draw_series,
)

WIDTH, HEIGHT = 400.0, 200.0


def test_points_stand_at_their_macs_and_values_and_the_unpruned_networks_is_a_line_across() -> None:
    series = [Series(label="l1", points=((0.5, 0.8), (0.25, 0.5)), colour=0)]
    text = draw_series(series, 0.9, width=WIDTH, height=HEIGHT, title="t", shown=str)
    low, high = 0.5 - 0.06 * 0.4, 0.9 + 0.06 * 0.4
    first, second = of_class(text, "circle", "point")
    assert float(first["cx"]) == pytest.approx(LEFT + (WIDTH - LEFT - RIGHT) / 2, abs=0.06)
    assert float(second["cx"]) == pytest.approx(LEFT + (WIDTH - LEFT - RIGHT) / 4, abs=0.06)
    for value, place in ((0.8, first["cy"]), (0.5, second["cy"]), (0.9, of_class(text, "line", "rule")[0]["y1"])):
        expected = ABOVE + (HEIGHT - ABOVE - BELOW) * (high - value) / (high - low)
        assert float(place) == pytest.approx(expected, abs=0.06)
    assert titles(text) == ["l1: 0.8 with 50.0 % of the MACs", "l1: 0.5 with 25.0 % of the MACs"]


def test_colours_begin_again_and_equal_values_are_drawn() -> None:
    assert Series(label="a", points=(), colour=COLOURS + 1, dashed=True).kind == "series s1 dashed"
    series = [Series(label="a", points=((1.5, 0.0),), colour=0)]  # never out of the picture
    text = draw_series(series, 0.0, width=WIDTH, height=HEIGHT, title="t", shown=str)
    assert float(of_class(text, "circle", "point")[0]["cx"]) == WIDTH - RIGHT


def test_a_bar_is_as_long_as_the_loss_of_the_largest_share() -> None:
    layers = [LayerLoss(name="a", losses=((0.5, 0.2), (0.25, 0.1))), LayerLoss(name="b", losses=((0.5, -0.2),))]
    text = draw_layers(layers, width=300.0, names=100.0, title="t", shown=str)
    first, second = of_class(text, "rect", "kept")
    unit = (300.0 - 100.0 - RIGHT) / (1.05 * 0.2 + 0.05 * 0.2 + 0.2)
    assert float(first["width"]) == pytest.approx(0.2 * unit, abs=0.06)
    assert float(second["width"]) == pytest.approx(0.2 * unit, abs=0.06)
    assert float(second["x"]) == 100.0  # it got better: to the left of nothing lost
    assert float(first["x"]) == pytest.approx(100.0 + 0.2 * unit, abs=0.06)
    assert float(second["y"]) - float(first["y"]) == ROW
    assert titles(text) == ["a: 0.1 lost without 25 % of its channels"]


def test_of_a_long_name_the_end_is_shown() -> None:
    text = draw_layers(
        [LayerLoss(name="features." * 9 + "conv1", losses=((0.5, 0.0),))], width=300.0, names=60.0, title="t", shown=str
    )
    assert ">…s.conv1<" in text
