"""Calls take turns, every quartile is of the same number of rounds, and times are wall times."""

import time

import pytest

from netslim.core.errors import UsageError
from netslim.cost import measure_latency


def test_calls_take_turns_in_both_orders() -> None:
    order: list[str] = []
    measure_latency({name: lambda name=name: order.append(name) for name in "abc"}, seconds=1e-9, warmup=0)
    assert "".join(order) == "abccbaabccbaabc"


def test_times_are_wall_times() -> None:
    found = measure_latency({"short": lambda: time.sleep(0.002), "long": lambda: time.sleep(0.006)}, seconds=0.02)
    assert 0.002 <= found["short"].lower_quartile <= found["short"].median <= found["short"].upper_quartile
    assert found["long"].median >= 0.006
    assert found["short"].runs == found["long"].runs >= 5


def test_warm_up_is_not_counted() -> None:
    calls = 0

    def call() -> None:
        nonlocal calls
        calls += 1
        time.sleep(0.05 if calls <= 2 else 0)

    found = measure_latency({"call": call}, seconds=1e-9, warmup=2)
    assert found["call"].upper_quartile < 0.05
    assert calls == found["call"].runs + 2


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_no_time_to_measure(seconds: float) -> None:
    with pytest.raises(UsageError, match="nothing to measure: 1 calls for"):
        measure_latency({"call": lambda: None}, seconds=seconds)


def test_nothing_to_measure() -> None:
    with pytest.raises(UsageError, match="nothing to measure: 0 calls"):
        measure_latency({})
