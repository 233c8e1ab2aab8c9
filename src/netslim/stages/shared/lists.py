"""Settings that are lists, written with commas between."""

import math
from collections.abc import Sequence
from contextlib import suppress

from netslim.core.errors import ArgumentError


def listed(text: str) -> list[str]:
    """`a, b` as its parts, without the spaces around them."""
    return [part.strip() for part in text.split(",")]


def pixel_numbers(name: str, text: str | None, usual: float, channels: int) -> tuple[float, ...]:
    """A mean or deviation per channel, of pixels scaled to 0..1. Raises ArgumentError for text that is none.

    Args:
        name: of the setting, `mean` or `std`.
        text: a number for all channels, or one for each; None: the usual one.
        usual: of all channels.
        channels: their number.
    """
    if text is None:
        return (usual,) * channels
    with suppress(ValueError):
        found = tuple(float(part) for part in listed(text))
        found = found * channels if len(found) == 1 else found
        if len(found) == channels and all(map(math.isfinite, found)) and (name == "mean" or 0 not in found):
            return found
    raise ArgumentError(name, text, f"type {channels} numbers with commas between, of pixels scaled to 0..1")


def with_spaces(numbers: Sequence[float]) -> str:
    """`0.5 0.25`: for a line that has commas of its own."""
    return " ".join(f"{number:g}" for number in numbers)
