"""Strength over time."""

import math

import pytest

from netslim.core.errors import UsageError
from netslim.training.penalties.strength import PENALTY_SCHEDULES, Progress, check_schedule, strength_factor


@pytest.mark.parametrize(
    ("schedule", "warmup", "factors"),
    [
        ("constant", 0.0, [1, 1, 1, 1, 1]),
        ("constant", 4.0, [0, 0.5, 1, 1, 1]),
        ("linear", 0.0, [1, 0.75, 0.5, 0.25, 0]),
        ("linear", 4.0, [0, 0.5, 1, 0.5, 0]),
        ("cosine", 0.0, [1, 0.5 + math.sqrt(0.125), 0.5, 0.5 - math.sqrt(0.125), 0]),
        ("lr", 0.0, [0.8, 0.6, 0.4, 0.2, 0]),
        ("lr", 4.0, [0, 0.3, 0.4, 0.2, 0]),
    ],
)
def test_the_strength_over_eight_epochs(schedule: str, warmup: float, factors: list[float]) -> None:
    rates = [0.8, 0.6, 0.4, 0.2, 0.0]
    found = [
        strength_factor(schedule, warmup, Progress(done=done, epochs=8, rate=rate))
        for done, rate in zip((0, 2, 4, 6, 8), rates, strict=True)
    ]
    assert found == pytest.approx(factors)


@pytest.mark.parametrize("schedule", PENALTY_SCHEDULES)
def test_the_strength_stays_between_nothing_and_all(schedule: str) -> None:
    for done in range(81):
        progress = Progress(done=done / 8, epochs=10, rate=0.7)
        assert 0 <= strength_factor(schedule, 2.5, progress) <= 1


def test_refusals() -> None:
    with pytest.raises(UsageError, match=r"^unknown penalty schedule 'cosin'; did you mean cosine"):
        check_schedule("cosin", 0, 10)
    with pytest.raises(UsageError) as error:
        check_schedule("constant", 10, 10)
    assert str(error.value) == (
        "`penalty_warmup=10`: with `epochs=10` the penalty would never reach its strength; type fewer than 10 epochs "
        "of warm-up"
    )
