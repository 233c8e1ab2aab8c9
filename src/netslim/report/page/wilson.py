"""How sure a share is that was counted on so many images."""

from __future__ import annotations

import math

_Z = 1.959964  # 97.5 % point of the normal distribution: both sides together leave out 5 %


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of `count` independent images (Wilson 1927, score interval).

    >>> low, high = wilson_interval(0.9, 100)
    >>> round(low, 4), round(high, 4)
    (0.8256, 0.9448)
    """
    if count < 1:
        return 0.0, 1.0
    square = _Z * _Z / count
    middle = (share + square / 2) / (1 + square)
    half = _Z / (1 + square) * math.sqrt(max(0.0, share * (1 - share)) / count + square / (4 * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def sign_test(one: int, other: int) -> float:
    """How probable a split at least as uneven is by chance, of images that only one of two networks gets right.

    The exact McNemar test: two-sided binomial with one half.
    """
    count = one + other
    ways = tail = 1  # of choosing k of them, whole numbers: exact for any count
    for k in range(min(one, other)):
        ways = ways * (count - k) // (k + 1)
        tail += ways
    return min(1.0, 2 * tail / (1 << count))
