"""What a table lacks is measured in chunks."""

import pytest

from netslim.deploy.latency import filling
from netslim.deploy.latency.filling import fill, wanted, widths_of
from netslim.deploy.latency.pieces import Piece, piece_of
from netslim.deploy.latency.runners import Point
from netslim.deploy.latency.table import Conditions, Table

from .small import units

HERE = Conditions(engine="onnxruntime", version="1.0", processor="A", threads=1, batch=2, step=8)


@pytest.fixture(scope="module")
def pieces() -> list[Piece]:
    found = units()
    return [piece_of(found, unit) for unit in found.units]


def test_only_widths_that_can_fall_are_varied(pieces: list[Piece]) -> None:
    assert widths_of(pieces[0], 8) == [(3, 4), (3, 8), (3, 16)]  # images stay of three channels
    assert widths_of(pieces[6], 16) == [(8, 10), (16, 10)]
    assert len(widths_of(pieces[1], 8)) == 3 * len({widths[1] for widths in widths_of(pieces[1], 8)})


def test_every_time_is_missing_once(pieces: list[Piece]) -> None:
    table = Table(HERE)
    points = wanted(table, [*pieces, *pieces])
    assert len({(piece.kind, widths) for piece, widths in points}) == len(points)
    assert {(piece.kind, widths) for piece, widths in points} == {
        (piece.kind, widths) for piece in pieces for widths in widths_of(piece, 8)
    }
    piece, widths = points[0]
    table.add(piece.kind, widths, 1.0)
    assert wanted(table, pieces) == points[1:]


def test_each_chunk_is_kept_as_soon_as_it_is_there(pieces: list[Piece], monkeypatch: pytest.MonkeyPatch) -> None:
    """The first point is timed again in every chunk: it took 1 s, then 1.5 s, then 1.2 s."""
    again = iter([1.0, 1.5, 1.2])
    table, kept, told = Table(HERE), list[int](), list[tuple[int, int]]()
    points = wanted(table, pieces)[:7]

    def timed(engine: str, given: list[Point], batch: int, threads: int, *, int8: bool) -> list[float]:
        assert (engine, batch, threads, int8, given[0]) == ("eager", 2, 1, False, points[0])
        return [next(again), *(float(sum(widths)) for _, widths in given[1:])]

    monkeypatch.setattr(filling, "CHUNK", 3)
    monkeypatch.setattr(filling, "time_points", timed)
    count = lambda: kept.append(sum(map(len, table.points.values())))  # noqa: E731
    fill(table, points, "eager", count, lambda done, total: told.append((done, total)))
    assert kept == [3, 6, 7]
    assert told == [(0, 7), (3, 7), (6, 7), (7, 7)]
    assert table.drift == 0.5
    assert all(table.points[piece.kind][widths] == sum(widths) for piece, widths in points)
