"""How the BatchNorm scales are spread, epoch by epoch: strong where many are, and where they parted in two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from netslim.report.page.drawings.svg import drawing, line, tag, text

LEFT, RIGHT, ABOVE, BELOW = 60.0, 12.0, 26.0, 34.0
DECADES = ("10", "1", "0.1", "0.01", "0.001", "≤ 0.0001")  # from 10 down to 0.0001: see `scale_histogram`


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The histograms of a phase, one per epoch, each from the smallest scales to the largest."""

    title: str
    number: int
    histograms: tuple[tuple[int, ...], ...]


def draw_scales(spreads: Sequence[Spread], *, width: float, height: float, parted: int | None, title: str) -> Markup:
    """The drawing.

    Args:
        spreads: of the phases, in order.
        width, height: of the drawing.
        parted: the epoch of all of them, from 0, in which the scales had parted; None: in none.
        title: for those who can't see it.
    """
    columns = [(spread, histogram) for spread in spreads for histogram in spread.histograms]
    every = -(-len(columns) // max(1, int((width - LEFT - RIGHT) / 6)))  # of many epochs some are drawn
    wide, tall = (width - LEFT - RIGHT) / max(1, len(columns)), height - ABOVE - BELOW
    parts = _axis(width, tall)
    for at in range(0, len(columns), every):
        parts += _column(columns[at][1], LEFT + at * wide, wide * min(every, len(columns) - at), tall)
    start = 0
    for spread in spreads:
        left, right = LEFT + start * wide, LEFT + (start + len(spread.histograms)) * wide
        parts += [line(left, ABOVE, left, ABOVE + tall, "rule")] if start else []
        parts.append(text((left + right) / 2, ABOVE - 10, str(spread.number), "numeral", "middle"))
        start += len(spread.histograms)
    if parted is not None:
        x = LEFT + parted * wide
        parts.append(line(x, ABOVE, x, ABOVE + tall, "event"))
    parts.append(text(LEFT, height - 4, "a column is an epoch; stronger: more scales", "faint small"))
    return drawing(width, height, *parts, title=title)


def _axis(width: float, tall: float) -> list[Markup]:
    parts = []
    for at, name in enumerate(DECADES):
        y = ABOVE + tall * at / (len(DECADES) - 1)
        parts.append(line(LEFT, y, width - RIGHT, y, "grid"))
        parts.append(text(LEFT - 6, y + (0 if at == len(DECADES) - 1 else 4), name, "faint small", "end"))
    return parts


def _column(histogram: Sequence[int], left: float, wide: float, tall: float) -> list[Markup]:
    most, high = max([*histogram, 1]), tall / max(1, len(histogram))
    return [
        tag(
            "rect",
            x=left + 0.3,
            y=ABOVE + tall - (at + 1) * high,
            width=max(0.6, wide - 0.6),
            height=high,
            class_="cell",
            opacity=f"{0.08 + 0.92 * (count / most) ** 0.6:.2f}",
        )
        for at, count in enumerate(histogram)
        if count
    ]
