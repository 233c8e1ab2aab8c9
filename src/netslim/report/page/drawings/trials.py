"""Prunings that were tried: a value over the MACs that are left, and what each layer's channels are worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from netslim.report.page.drawings.axes import ticks
from netslim.report.page.drawings.svg import drawing, line, tag, text

LEFT, RIGHT, ABOVE, BELOW = 46.0, 14.0, 12.0, 36.0
ROW, DOT, DIGIT = 18.0, 3.5, 6.3
COLOURS = 4  # of the style sheet; further series begin again


@dataclass(frozen=True, kw_only=True)
class Series:
    """A line of the drawing.

    Attributes:
        label: in words.
        points: share of the MACs that is left (0 to 1), and the value.
        colour: number of it.
        dashed: whether the line is.
    """

    label: str
    points: tuple[tuple[float, float], ...]
    colour: int
    dashed: bool = False

    @property
    def kind(self) -> str:
        """Its classes in the style sheet."""
        return f"series s{self.colour % COLOURS}{' dashed' if self.dashed else ''}"


def draw_series(
    series: Sequence[Series], dense: float, *, width: float, height: float, title: str, shown: Callable[[float], str]
) -> Markup:
    """Values over MACs; a line across shows the unpruned network's.

    Args:
        series: one or more with a point each at least.
        dense: the unpruned network's value.
        width, height: of the drawing.
        title: for those who can't see it.
        shown: how a value is written.
    """
    values = [dense, *(value for each in series for _, value in each.points)]
    low, high = min(values), max(values)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = low - margin, high + margin

    def x(share: float) -> float:
        return LEFT + (width - LEFT - RIGHT) * min(share, 1.0)

    def y(value: float) -> float:
        return ABOVE + (height - ABOVE - BELOW) * (high - value) / (high - low)

    parts = []
    for value in ticks(low, high):
        parts.append(line(LEFT, y(value), width - RIGHT, y(value), "grid"))
        parts.append(text(LEFT - 6, y(value) + 4, shown(value), "faint small", "end"))
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(
            text(
                x(share), height - BELOW + 15, f"{100 * share:.0f} %", "faint small", "end" if share == 1 else "middle"
            )
        )
    parts.append(line(LEFT, y(dense), width - RIGHT, y(dense), "rule"))
    for each in series:
        places = [(x(share), y(value)) for share, value in each.points]
        parts.append(tag("polyline", points=" ".join(f"{a:.1f},{b:.1f}" for a, b in places), class_=each.kind))
        for (share, value), (a, b) in zip(each.points, places, strict=True):
            said = tag("title", f"{each.label}: {shown(value)} with {100 * share:.1f} % of the MACs")
            parts.append(tag("circle", said, cx=a, cy=b, r=DOT, class_=f"point s{each.colour % COLOURS}"))
    parts.append(text(LEFT, height - 3, "MACs that are left", "faint small"))
    return drawing(width, height, *parts, title=title)


@dataclass(frozen=True, kw_only=True)
class LayerLoss:
    """What a layer's pruning costs: shares of its channels that went, and what was lost with each."""

    name: str
    losses: tuple[tuple[float, float], ...]


def draw_layers(
    layers: Sequence[LayerLoss], *, width: float, names: float, title: str, shown: Callable[[float], str]
) -> Markup:
    """A row per layer: a bar to what the largest share costs, a dot for each of the smaller ones.

    Args:
        layers: one or more.
        width: of the drawing; it is as high as it has to be.
        names: width of the column of names.
        title: for those who can't see it.
        shown: how a loss is written.
    """
    values = [0.0, *(loss for layer in layers for _, loss in layer.losses)]
    low, high = min(values), max(values)
    high += 0.05 * (high - low) or 1.0
    height = ABOVE + ROW * len(layers) + 22.0

    def x(loss: float) -> float:
        return names + (width - names - RIGHT) * (loss - low) / (high - low)

    parts = []
    for value in ticks(low, high, 4):
        parts.append(line(x(value), ABOVE, x(value), height - 20, "grid"))
        parts.append(text(x(value), height - 6, shown(value), "faint small", "middle"))
    for at, layer in enumerate(layers):
        middle = ABOVE + ROW * (at + 0.5)
        most = int((names - 8) / DIGIT)
        name = layer.name if len(layer.name) <= most else f"…{layer.name[1 - most :]}"
        parts.append(text(names - 8, middle + 4, name, "small", "end"))
        parts += _losses(layer, middle, x, shown)
    return drawing(width, height, *parts, title=title)


def _losses(
    layer: LayerLoss, middle: float, x: Callable[[float], float], shown: Callable[[float], str]
) -> list[Markup]:
    *smaller, (_, largest) = sorted(layer.losses)
    left, right = sorted((x(0.0), x(largest)))
    parts = [tag("rect", x=left, y=middle - 5, width=max(right - left, 1.0), height=10, class_="kept")]
    for share, loss in smaller:
        said = tag("title", f"{layer.name}: {shown(loss)} lost without {100 * share:.0f} % of its channels")
        parts.append(tag("circle", said, cx=x(loss), cy=middle, r=DOT, class_="mark"))
    return parts
