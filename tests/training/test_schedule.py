import math

import pytest
import torch

from netslim.core.errors import UsageError
from netslim.training.schedule import SCHEDULES, rate_factor


@pytest.mark.parametrize(
    ("epochs", "first", "second"),
    [(1, 1, 1), (2, 1, 2), (3, 2, 3), (4, 2, 3), (5, 3, 4), (30, 15, 23), (50, 25, 38), (160, 80, 120)],
)
def test_step_drops_at_half_and_three_quarters_for_any_number_of_epochs(epochs: int, first: int, second: int) -> None:
    rates = [rate_factor("step", epoch, epochs, 0.0) for epoch in range(epochs)]
    expected = [0.1 ** ((epoch >= first) + (epoch >= second)) for epoch in range(epochs)]
    assert rates == pytest.approx(expected)


def test_step_does_not_change_within_an_epoch() -> None:
    assert rate_factor("step", 3, 8, 0.99) == rate_factor("step", 3, 8, 0.0) == 1.0


def test_cosine_is_half_a_cosine_over_all_steps() -> None:
    assert rate_factor("cosine", 0, 10, 0.0) == 1.0
    assert rate_factor("cosine", 5, 10, 0.0) == pytest.approx(0.5)
    assert rate_factor("cosine", 2, 10, 0.5) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    assert rate_factor("cosine", 9, 10, 1.0) == pytest.approx(0.0)


def test_onecycle_starts_at_a_25th_peaks_at_30_percent_and_ends_near_zero() -> None:
    assert rate_factor("onecycle", 0, 10, 0.0) == pytest.approx(1 / 25)
    assert rate_factor("onecycle", 1, 10, 0.5) == pytest.approx((1 + 1 / 25) / 2)
    assert rate_factor("onecycle", 3, 10, 0.0) == pytest.approx(1.0)
    assert rate_factor("onecycle", 9, 10, 1.0) == pytest.approx(1 / (25 * 1e4))


def test_onecycle_is_torchs() -> None:
    """Up to one step: torch counts the steps of the two phases from one end to the other."""
    steps = 1000
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    torchs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=steps, cycle_momentum=False)
    for step in range(steps - 1):
        ours = rate_factor("onecycle", step // 10, steps // 10, step % 10 / 10)
        assert ours == pytest.approx(torchs.get_last_lr()[0], abs=0.006)
        optimizer.step()
        torchs.step()


def test_onecycle_rises_then_falls() -> None:
    rates = [rate_factor("onecycle", epoch, 20, part / 4) for epoch in range(20) for part in range(4)]
    peak = rates.index(max(rates))
    assert peak == 24
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_stays_between_zero_and_the_base_rate(schedule: str) -> None:
    for epochs in (1, 3, 7):
        for epoch in range(epochs):
            assert 0 < rate_factor(schedule, epoch, epochs, 0.5) <= 1


def test_an_unknown_schedule_is_named_with_the_known_ones() -> None:
    with pytest.raises(UsageError) as error:
        rate_factor("cosin", 0, 1, 0.0)
    assert str(error.value) == "unknown schedule 'cosin'; did you mean cosine? (known: cosine, onecycle, step)"
