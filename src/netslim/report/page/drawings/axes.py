"""Scales of drawings: where round numbers stand between two others."""

from __future__ import annotations

import math


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most `most` + 1 round numbers from `low` to `high`, evenly spaced by 1, 2, 2.5 or 5 times a power of ten."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(step * number, 10) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def lowest_shown(values: list[float], must: list[float], share: float = 0.4) -> float:
    """Where an axis begins so that differences can be seen: below most of the values and all that must be seen.

    Args:
        values: everything that is drawn.
        must: what may not run out of the picture.
        share: of the values that may.
    """
    ordered = sorted(values) or [0.0]
    low = min([ordered[int(share * (len(ordered) - 1))], *must])
    return low - 0.15 * (max([*ordered, *must]) - low)
