"""Measuring what a table lacks: in chunks, each written as soon as it is there, so that a cut costs one chunk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

from netslim.deploy.latency.pieces import Piece
from netslim.deploy.latency.runners import Point, time_points
from netslim.deploy.latency.table import Table, grid

CHUNK = 24


def widths_of(piece: Piece, step: int) -> list[tuple[int, ...]]:
    """The widths at which a piece is measured."""
    return [*product(*(grid(width.full, bool(width.taken), step) for width in piece.widths))]


def wanted(table: Table, pieces: Sequence[Piece]) -> list[Point]:
    """The times that are missing for a network, each once; those that take longest last."""
    found: dict[tuple[str, tuple[int, ...]], Point] = {}
    for piece in pieces:
        for widths in widths_of(piece, table.conditions.step):
            if table.lacks(piece.kind, widths):
                found.setdefault((piece.kind, widths), (piece, widths))
    return [*found.values()]


def fill(
    table: Table,
    points: Sequence[Point],
    engine: str,
    keep: Callable[[], None],
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Measures points and adds them; one of them is in every chunk, and its times say how steady the machine was."""
    reference: list[float] = []
    conditions = table.conditions
    for start in range(0, len(points), CHUNK):
        if progress:
            progress(start, len(points))
        chunk = points[start : start + CHUNK]
        batch, threads, int8 = conditions.batch, conditions.threads, conditions.int8
        first, *times = time_points(engine, [points[0], *chunk], batch, threads, int8=int8)
        reference.append(first)
        for (piece, widths), seconds in zip(chunk, times, strict=True):
            table.add(piece.kind, widths, seconds)
        table.drift = max(table.drift, _drift(reference))
        keep()
    if progress:
        progress(len(points), len(points))


def _drift(times: Sequence[float]) -> float:
    return max(times) / min(times) - 1 if min(times) > 0 else 0.0
