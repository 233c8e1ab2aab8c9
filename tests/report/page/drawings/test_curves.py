"""Values over epochs: lines against values."""

from xml.etree import ElementTree as ET

from drawings.elements import of_class
from netslim.report.page.drawings.curves import Phase, draw_curves


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
