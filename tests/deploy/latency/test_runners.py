"""Pieces are really timed, by ONNX Runtime's profile and by torch."""

import pytest

from installed import needs
from netslim.deploy.latency.pieces import piece_of
from netslim.deploy.latency.runners import time_points

from .small import units


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "eager"])
@pytest.mark.parametrize("int8", [False, True])
def test_pieces_take_time_in_every_engine(engine: str, int8: bool) -> None:
    if engine == "openvino":
        needs("openvino")
    found, units_of = units(), ((1, (16, 24)), (2, (24, 16)), (6, (16, 10)))
    points = [(piece_of(found, found.units[number]), widths) for number, widths in units_of]
    times = time_points(engine, points, 2, 1, int8=int8)
    assert len(times) == 3
    assert all(0 < seconds < 1 for seconds in times)
