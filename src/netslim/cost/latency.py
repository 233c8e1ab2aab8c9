"""How long calls take, measured side by side."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from netslim.core.errors import UsageError

_MIN_ROUNDS = 5
_FIRST_LOOK = 3, 0.05  # rounds and seconds of each call before one drops out: what else the machine does takes 10 ms
_CLEARLY = 1.1  # times the fastest's median


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Wall time of one call, in seconds, over `runs` measured calls."""

    median: float
    lower_quartile: float
    upper_quartile: float
    runs: int

    @classmethod
    def of(cls, taken: Sequence[float]) -> "Latency":
        """Of the seconds that calls took, two at least."""
        lower, median, upper = statistics.quantiles(taken, n=4, method="inclusive")
        return cls(median=median, lower_quartile=lower, upper_quartile=upper, runs=len(taken))


def measure_latency(
    calls: Mapping[str, Callable[[], object]], *, seconds: float = 1.0, warmup: int = 3
) -> dict[str, Latency]:
    """Times several calls in turns, one of each per round, so that drift and disturbances hit all alike.

    The order is reversed every other round (A B C, C B A): none always follows the same neighbour. Where CUDA is used,
    the device is synchronised before and after each call. Threads and gradients are the caller's business.

    Args:
        calls: name -> a function without arguments that does the work once.
        seconds: measured time per call; at least five rounds are run, so that there are quartiles.
        warmup: calls of each that are not counted (allocation, compilation).

    Raises:
        UsageError: there is nothing to time, or `seconds` is not a positive number.
    """
    return _in_turns(calls, seconds, warmup)


def measure_fastest(
    calls: Mapping[str, Callable[[], object]], *, seconds: float = 1.0, warmup: int = 1
) -> dict[str, Latency]:
    """Times calls in turns as `measure_latency` does, but to find the fastest: who is clearly slower drops out.

    That is a call whose fastest run took a tenth longer than the median of the call in front: one that is as fast would
    have lost every round. They are looked at after three rounds and 50 ms of each at least, and whenever that has
    doubled. With one call left the search is over.

    Args:
        calls: name -> a function without arguments that does the work once.
        seconds: measured time for each call that stays.
        warmup: calls of each that are not counted.

    Raises:
        UsageError: there is nothing to time, or `seconds` is not a positive number.
    """
    return _in_turns(calls, seconds, warmup, fastest=True)


def _in_turns(
    calls: Mapping[str, Callable[[], object]], seconds: float, warmup: int, *, fastest: bool = False
) -> dict[str, Latency]:
    if not calls or not seconds > 0:
        raise UsageError(f"nothing to measure: {len(calls)} calls for {seconds} seconds (give one or more, and > 0)")
    for call in calls.values():
        for _ in range(warmup):
            call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    order, spent, rounds = list(calls), dict.fromkeys(calls, 0.0), 0
    least, look = _FIRST_LOOK
    while order and (rounds < _MIN_ROUNDS or sum(spent[name] for name in order) < seconds * len(order)):
        for name in order:
            times[name].append(_time(calls[name]))
            spent[name] += times[name][-1]
        rounds += 1
        order.reverse()
        if fastest and rounds >= least and min(spent[name] for name in order) >= look:
            order, look = _in_front(order, times), 2 * look
    return {name: Latency.of(taken) for name, taken in times.items()}


def _in_front(order: Sequence[str], times: Mapping[str, list[float]]) -> list[str]:
    """Those that may still be the fastest; none where this is known."""
    limit = _CLEARLY * min(statistics.median(times[name]) for name in order)
    left = [name for name in order if min(times[name]) <= limit]
    return left if len(left) > 1 else []


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Lets torch use so many threads inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _time(call: Callable[[], object]) -> float:
    _synchronise()
    start = time.perf_counter()
    call()
    _synchronise()
    return time.perf_counter() - start


def _synchronise() -> None:
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
