"""How strong a penalty is over the course of a training: pure functions, so that a resumed run needs no state."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from netslim.core.errors import UsageError, unknown_name


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a training stands, before a batch.

    Attributes:
        done: epochs that are finished, with the share of the current one.
        epochs: number of epochs in all.
        rate: what the base learning rate is multiplied with here.
    """

    done: float
    epochs: int
    rate: float = 1.0


def constant(_: float, __: float) -> float:
    """The full strength to the end."""
    return 1.0


def linear(falling: float, _: float) -> float:
    """From the end of the warm-up straight down to nothing."""
    return 1.0 - falling


def cosine(falling: float, _: float) -> float:
    """From the end of the warm-up along half a cosine down to nothing."""
    return (1.0 + math.cos(math.pi * falling)) / 2


def lr(_: float, rate: float) -> float:
    """As the learning rate: with schedule `step`, a tenth of the strength from half of the epochs on."""
    return rate


PENALTY_SCHEDULES: dict[str, Callable[[float, float], float]] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "lr": lr,
}


def strength_factor(schedule: str, warmup: float, progress: Progress) -> float:
    """What the penalty's strength is multiplied with: a straight line from 0 during the warm-up, times the schedule.

    Args:
        schedule: `constant`, `linear`, `cosine` or `lr`.
        warmup: epochs until the full strength.
        progress: where the training stands.
    """
    falling = max(0.0, progress.done - warmup) / max(progress.epochs - warmup, 1e-9)
    rising = min(1.0, progress.done / warmup) if warmup else 1.0
    return rising * PENALTY_SCHEDULES[schedule](min(1.0, falling), progress.rate)


def check_schedule(schedule: str, warmup: float, epochs: int) -> None:
    """Raises UsageError for an unknown schedule, or a warm-up that never ends."""
    if schedule not in PENALTY_SCHEDULES:
        raise unknown_name("penalty schedule", schedule, PENALTY_SCHEDULES)
    if warmup >= epochs:
        raise UsageError(
            f"`penalty_warmup={warmup:g}`: with `epochs={epochs}` the penalty would never reach its strength; type "
            f"fewer than {epochs} epochs of warm-up"
        )
