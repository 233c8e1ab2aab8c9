"""Histograms of scales: how dark, how high, and where they parted."""

import pytest

from drawings.elements import of_class
from netslim.report.page.drawings.scales import Spread, draw_scales


def test_many_scales_are_dark_and_the_epoch_of_parting_is_marked() -> None:
    spread = Spread(title="a", number=1, histograms=((0, 4, 1), (5, 0, 0)))
    text = draw_scales([spread], width=400, height=200, parted=1, title="t")
    cells = of_class(text, "rect", "cell")
    assert len(cells) == 3
    assert float(cells[0]["opacity"]) == 1.0 > float(cells[1]["opacity"])
    assert float(cells[0]["y"]) > float(cells[1]["y"])  # larger scales stand higher
    assert float(of_class(text, "line", "event")[0]["x1"]) == pytest.approx(float(cells[2]["x"]) - 0.3, abs=0.1)


def test_of_many_epochs_no_more_are_drawn_than_can_be_seen() -> None:
    spread = Spread(title="a", number=1, histograms=((1,) * 25,) * 400)
    assert len(of_class(draw_scales([spread], width=340, height=200, parted=None, title="t"), "rect", "cell")) < 25 * 60
