"""Learning rate schedules: pure functions of how much of the training is done, so that they need no state."""

import math
from collections.abc import Callable

from netslim.core.errors import unknown_name

WARMUP = 0.3  # one-cycle: share of the training in which the rate rises (Smith & Topin 2018; torch's default)
START, END = 25.0, 1e4  # one-cycle: the rate starts at lr / START and ends at lr / (START * END)


def step(epoch: int, epochs: int, _: float) -> float:
    """The original's: times 0.1 from 50 % and again from 75 % of the epochs on, for any number of epochs."""
    return 0.1 ** ((epoch >= 0.5 * epochs) + (epoch >= 0.75 * epochs))


def cosine(epoch: int, epochs: int, within: float) -> float:
    """Half a cosine from 1 to 0 (Loshchilov & Hutter 2017), step by step."""
    return _anneal(1.0, 0.0, (epoch + within) / epochs)


def onecycle(epoch: int, epochs: int, within: float) -> float:
    """Up to the full rate in the first 30 %, then down to almost nothing, both along a cosine (Smith & Topin 2018).

    The curve of torch's `OneCycleLR` at its defaults. The momentum, which Smith (2018) lowers meanwhile, stays.
    """
    progress = (epoch + within) / epochs
    if progress < WARMUP:
        return _anneal(1 / START, 1.0, progress / WARMUP)
    return _anneal(1.0, 1 / (START * END), (progress - WARMUP) / (1 - WARMUP))


SCHEDULES: dict[str, Callable[[int, int, float], float]] = {"step": step, "cosine": cosine, "onecycle": onecycle}


def rate_factor(schedule: str, epoch: int, epochs: int, within: float) -> float:
    """What the base learning rate is multiplied with.

    Args:
        schedule: `step`, `cosine` or `onecycle`.
        epoch: number of finished epochs.
        epochs: number of epochs in all.
        within: share of the current epoch that is done, 0 <= within < 1.

    Raises:
        UsageError: unknown schedule.
    """
    if schedule not in SCHEDULES:
        raise unknown_name("schedule", schedule, SCHEDULES)
    return SCHEDULES[schedule](epoch, epochs, within)


def _anneal(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
