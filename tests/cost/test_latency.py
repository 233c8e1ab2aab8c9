"""Calls take turns, every quartile is of the same number of rounds, and times are wall times."""

import time

import pytest

from netslim.core.errors import UsageError
from netslim.cost import measure_latency
from netslim.cost.latency import measure_fastest


def test_calls_take_turns_in_both_orders() -> None:
    order: list[str] = []
    measure_latency({name: lambda name=name: order.append(name) for name in "abc"}, seconds=1e-9, warmup=0)
    assert "".join(order) == "abccbaabccbaabc"


def test_times_are_wall_times() -> None:
    found = measure_latency({"short": lambda: time.sleep(0.002), "long": lambda: time.sleep(0.006)}, seconds=0.02)
    assert 0.002 <= found["short"].lower_quartile <= found["short"].median <= found["short"].upper_quartile
    assert found["long"].median >= 0.006
    assert found["short"].runs == found["long"].runs >= 5


def test_who_is_clearly_slower_drops_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that only the calls move: what is within a tenth of the fastest stays, whatever was there before goes."""
    now, order = 0.0, list[str]()
    monkeypatch.setattr("netslim.cost.latency.time.perf_counter", lambda: now)

    def call(name: str, seconds: list[float]) -> None:
        nonlocal now
        now += seconds[min(order.count(name), len(seconds) - 1)]
        order.append(name)

    taking = {"fast": [1.0], "near": [1.05], "slow": [1.2], "late": [3.0, 3.0, 1.0]}
    calls = {name: lambda name=name: call(name, taking[name]) for name in taking}
    found = measure_fastest(calls, seconds=7, warmup=1)
    assert {name: time.runs for name, time in found.items()} == {"fast": 7, "near": 7, "slow": 3, "late": 7}
    assert (found["near"].median, found["slow"].lower_quartile) == (pytest.approx(1.05), pytest.approx(1.2))
    order.clear()
    assert measure_fastest({name: calls[name] for name in ("fast", "slow")}, seconds=60)["fast"].runs == 3
    taking["fast"], taking["slow"] = [2**-10], [2**-9]  # calls that a glance elsewhere disturbs: 50 ms of them first
    assert measure_fastest({name: calls[name] for name in ("fast", "slow")}, seconds=60)["slow"].runs == 52


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
