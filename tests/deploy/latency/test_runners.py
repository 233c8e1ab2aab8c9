"""Pieces are really timed, by ONNX Runtime's profile and by torch."""

from netslim.deploy.latency.pieces import piece_of
from netslim.deploy.latency.runners import time_points

from .small import units


def test_pieces_take_time_in_every_engine() -> None:
    found = units()
    points = [(piece_of(found, found.units[number]), widths) for number, widths in ((1, (16, 24)), (2, (24, 16)))]
    for engine in ("onnxruntime", "eager"):
        times = time_points(engine, points, 2, 1)
        assert len(times) == 2
        assert all(0 < seconds < 1 for seconds in times)
