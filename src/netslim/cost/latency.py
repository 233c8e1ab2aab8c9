"""How long calls take, measured side by side."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from netslim.core.errors import UsageError

_MIN_ROUNDS = 5


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Wall time of one call, in seconds, over `runs` measured calls."""

    median: float
    lower_quartile: float
    upper_quartile: float
    runs: int


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
    if not calls or not seconds > 0:
        raise UsageError(f"nothing to measure: {len(calls)} calls for {seconds} seconds (give one or more, and > 0)")
    for call in calls.values():
        for _ in range(warmup):
            call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    spent, rounds = 0.0, 0
    while rounds < _MIN_ROUNDS or spent < seconds * len(calls):
        for name in order:
            times[name].append(_time(calls[name]))
            spent += times[name][-1]
        order.reverse()
        rounds += 1
    return {name: _summary(taken) for name, taken in times.items()}


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


def _summary(taken: list[float]) -> Latency:
    lower, median, upper = statistics.quantiles(taken, n=4, method="inclusive")
    return Latency(median=median, lower_quartile=lower, upper_quartile=upper, runs=len(taken))
