"""A value over the epochs of all phases: a line per phase, the test set's value where each one ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from netslim.report.page.drawings.axes import lowest_shown, ticks
from netslim.report.page.drawings.svg import drawing, line, tag, text

LEFT, RIGHT, ABOVE, BELOW = 46.0, 12.0, 26.0, 34.0


@dataclass(frozen=True, kw_only=True)
class Phase:
    """What is drawn of a run.

    Attributes:
        title: above its part of the drawing.
        values: per epoch, on the images that choose the epoch; empty for a pruning.
        training: the same on the training images, where it is known.
        marks: values on the test images that stand at its end, with the word for each.
    """

    title: str
    values: tuple[float, ...] = ()
    training: tuple[float, ...] = ()
    marks: tuple[tuple[str, float], ...] = ()

    @property
    def width(self) -> int:
        """Places on the axis."""
        return max(len(self.values), 1)


@dataclass(frozen=True)
class _Frame:
    """From epochs and values to places."""

    width: float
    height: float
    epochs: int
    low: float
    high: float

    def x(self, epoch: float) -> float:
        return LEFT + (self.width - LEFT - RIGHT) * epoch / max(1, self.epochs)

    def y(self, value: float) -> float:
        return ABOVE + (self.height - ABOVE - BELOW) * (self.high - value) / (self.high - self.low)


def draw_curves(
    phases: Sequence[Phase], *, width: float, height: float, title: str, shown: Callable[[float], str], cap: float
) -> Markup:
    """The drawing; what lies below the axis' beginning is cut off.

    Args:
        phases: in order.
        width, height: of the drawing.
        title: for those who can't see it.
        shown: how a value is written.
        cap: the value that the axis does not go beyond (1 for shares; infinite for others).
    """
    values = [value for phase in phases for value in (*phase.values, *phase.training)]
    must = [value for phase in phases for _, value in phase.marks]
    high = max([*values, *must], default=1.0)
    low = min(lowest_shown(values, must), high - 1e-3)
    high = cap if cap - high < 0.25 * (high - low) else high + 0.05 * (high - low)
    frame = _Frame(width, height, sum(phase.width for phase in phases), low, high)
    parts, start = _grid(frame, shown), 0
    for number, phase in enumerate(phases):
        parts += _phase(frame, phase, start, number)
        start += phase.width
    parts.append(text(LEFT, height - 4, "epochs of all phases, one after another", "faint small"))
    return drawing(width, height, *parts, title=title)


def _grid(frame: _Frame, shown: Callable[[float], str]) -> list[Markup]:
    parts = []
    for value in ticks(frame.low, frame.high):
        parts.append(line(LEFT, frame.y(value), frame.width - RIGHT, frame.y(value), "grid"))
        parts.append(text(LEFT - 6, frame.y(value) + 4, shown(value), "faint small", "end"))
    return parts


def _phase(frame: _Frame, phase: Phase, start: int, number: int) -> list[Markup]:
    left, right = frame.x(start), frame.x(start + phase.width)
    parts = [line(left, ABOVE, left, frame.height - BELOW, "rule")] if number else []
    parts.append(_clipped(frame, phase, start))
    if len(phase.values) > 1:
        parts += [
            text(frame.x(start + 0.5), frame.height - BELOW + 13, "1", "faint small", "middle"),
            text(frame.x(start + phase.width - 0.5), frame.height - BELOW + 13, str(phase.width), "faint small", "end"),
        ]
    parts.append(text((left + right) / 2, ABOVE - 10, str(number + 1), "numeral", "middle"))
    for word, value in phase.marks:
        dot = tag("circle", tag("title", f"{phase.title}: {word}"), cx=right, cy=frame.y(value), r=4, class_="mark")
        parts.append(dot)
    return parts


def _clipped(frame: _Frame, phase: Phase, start: int) -> Markup:
    """The lines, in a drawing of its own within the frame: what lies outside is not shown."""
    wide, tall = frame.width - LEFT - RIGHT, frame.height - ABOVE - BELOW
    lines = []
    for kind, values in (("curve train", phase.training), ("curve", phase.values)):
        points = [(frame.x(start + at + 0.5), frame.y(value)) for at, value in enumerate(values)]
        if points:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            lines.append(tag("polyline", points=path, class_=kind))
        if len(points) == 1:
            lines.append(tag("circle", cx=points[0][0], cy=points[0][1], r=2.5, class_="dot"))
    box = f"{LEFT:g} {ABOVE:g} {wide:g} {tall:g}"
    return tag("svg", *lines, x=LEFT, y=ABOVE, width=wide, height=tall, viewBox=box)
