"""What is drawn where: heights against counts, lines against values."""

import re
from xml.etree import ElementTree as ET

import pytest

from netslim.report.page.drawings.curves import Phase, draw_curves
from netslim.report.page.drawings.network import HEIGHT, block_drawing
from netslim.report.page.drawings.scales import Spread, draw_scales
from netslim.report.page.plan_file import Block, Layer


def of_class(text: str, name: str, kind: str) -> list[dict[str, str]]:
    return [each.attrib for each in ET.fromstring(text).iter(name) if kind in each.get("class", "").split()]  # noqa: S314


def test_columns_are_as_high_as_their_channels() -> None:
    block = Block("0", (Layer("bn1", "layer1.0.bn1", 64, 16), Layer("bn2", "layer1.0.bn2", 32, 32)))
    text = block_drawing("layer1", block, 128)
    heights = [[float(each["height"]) for each in of_class(text, "rect", kind)] for kind in ("gone", "kept")]
    assert heights == [[HEIGHT / 2, HEIGHT / 4], [HEIGHT / 8, HEIGHT / 4]]
    assert re.findall(r"<text[^>]*count[^>]*>(\d+)<", text) == ["16", "32"]


def test_a_layer_with_nothing_left_and_a_long_name_is_drawn() -> None:
    text = block_drawing("", Block("a" * 100, (Layer("", "x", 0, 0),)), 0)
    assert "…" in text
    ET.fromstring(text)  # noqa: S314


def test_a_higher_value_stands_higher_and_marks_at_a_phases_end() -> None:
    phases = [Phase(title="one", values=(0.5, 0.9), marks=(("test 80 %", 0.8),)), Phase(title="cut")]
    text = draw_curves(phases, width=400, height=200, title="t", shown=str, cap=1.0)
    (line,) = of_class(text, "polyline", "curve")
    (x1, y1), (x2, y2) = ([float(each) for each in point.split(",")] for point in line["points"].split())
    assert x1 < x2
    assert y1 > y2
    (mark,) = of_class(text, "circle", "mark")
    assert float(mark["cx"]) > x2
    assert y2 < float(mark["cy"]) < y1


def test_equal_values_and_single_epochs_are_drawn() -> None:
    for values in ((1.0,), (0.0, 0.0), (0.7, 0.7, 0.7)):
        phases = [Phase(title="a", values=values)]
        ET.fromstring(draw_curves(phases, width=340, height=200, title="t", shown=str, cap=1))  # noqa: S314


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
