"""The time of a network as a function of how many channels each of its groups has lost, from times of its parts."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product


@dataclass(frozen=True)
class Width:
    """Channels of a value inside a network.

    Attributes:
        full: their number while nothing is removed.
        taken: per group that takes some away, its number and how many go with each of its channels.
    """

    full: int
    taken: tuple[tuple[int, int], ...] = ()

    def at(self, removed: Sequence[int]) -> int:
        """What is left after removing so many channels of each group."""
        return self.full - sum(entries * removed[group] for group, entries in self.taken)


@dataclass(frozen=True, eq=False)
class Surface:
    """Times over one or two widths: linear between measured ones.

    Attributes:
        axes: per width the measured ones, increasing.
        seconds: by a width of each axis.
        step: widths that are no multiple of it take as long as the next that is: what the engine pads to.
    """

    axes: tuple[tuple[int, ...], ...]
    seconds: Mapping[tuple[int, ...], float]
    step: int
    known: dict[tuple[int, ...], float] = field(default_factory=dict)

    def at(self, widths: tuple[int, ...]) -> float:
        """The time at any widths; none where a width is zero."""
        if widths not in self.known:
            self.known[widths] = self._interpolated(widths) if min(widths) > 0 else 0.0
        return self.known[widths]

    def _interpolated(self, widths: tuple[int, ...]) -> float:
        corners = [_between(axis, self._padded(width)) for axis, width in zip(self.axes, widths, strict=True)]
        return sum(
            math.prod(share for _, share in corner) * self.seconds[tuple(place for place, _ in corner)]
            for corner in product(*corners)
        )

    def _padded(self, width: int) -> int:
        half = self.step // 2
        return half if width <= half else math.ceil(width / self.step) * self.step


def _between(axis: Sequence[int], width: int) -> list[tuple[int, float]]:
    """The measured widths around one, and how much each counts; at the ends the last one alone."""
    above = bisect.bisect_left(axis, width)
    if above == len(axis) or axis[above] == width or above == 0:
        return [(axis[min(above, len(axis) - 1)], 1.0)]
    low, high = axis[above - 1], axis[above]
    share = (width - low) / (high - low)
    return [(low, 1 - share), (high, share)]


@dataclass(frozen=True, eq=False)
class Part:
    """What the engine runs as one piece.

    Attributes:
        widths: those that its time depends on.
        surface: its time over them.
        gone_with: the residual blocks without which nothing is left of it.
    """

    widths: tuple[Width, ...]
    surface: Surface
    gone_with: frozenset[str] = frozenset()

    def seconds(self, removed: Sequence[int]) -> float:
        """Its time after removing so many channels of each group."""
        return self.surface.at(tuple(width.at(removed) for width in self.widths))


class TimeModel:
    """The sum of a network's parts.

    Args:
        parts: all that takes time.
        groups: number of groups.
        step: widths of layers that the engine is fast at are multiples of it.
    """

    def __init__(self, parts: Iterable[Part], groups: int, step: int) -> None:
        self.step = step
        self.parts = tuple(parts)
        names = {name for part in self.parts for name in part.gone_with}
        self._in = {name: [part for part in self.parts if name in part.gone_with] for name in names}
        self._of = [
            [part for part in self.parts if any(own == group for width in part.widths for own, _ in width.taken)]
            for group in range(groups)
        ]

    def at(self, removed: Sequence[int], gone: frozenset[str] = frozenset()) -> float:
        """Seconds for a batch, with so many channels of each group removed and whole blocks gone."""
        return sum(part.seconds(removed) for part in self.parts if not part.gone_with & gone)

    def of_group(self, group: int, removed: Sequence[int], gone: frozenset[str] = frozenset()) -> float:
        """The share of it that depends on one group."""
        return sum(part.seconds(removed) for part in self._of[group] if not part.gone_with & gone)

    def of_block(self, name: str, removed: Sequence[int], gone: frozenset[str] = frozenset()) -> float:
        """The share of it that goes with a block, if other blocks are gone already."""
        others = gone - {name}
        return sum(part.seconds(removed) for part in self._in.get(name, ()) if not part.gone_with & others)
