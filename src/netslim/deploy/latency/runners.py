"""Engines timing small pieces in turns: lower quartiles, since what else the machine does only ever adds time."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence

import torch
from torch import fx

from netslim.cost import torch_threads
from netslim.deploy.latency.pieces import Piece
from netslim.deploy.latency.profiles import BURST, ENGINES, content_of, lower_quartile

Point = tuple[Piece, tuple[int, ...]]
_LEAST, _MOST = 5, 20  # rounds of bursts
_SECONDS = 0.02  # per piece


def time_points(engine: str, points: Sequence[Point], batch: int, threads: int, *, int8: bool = False) -> list[float]:
    """Seconds of each piece at its widths, one round after the other over all of them.

    Args:
        engine: `onnxruntime`, `openvino`: what its own profile says of the piece between two other layers, so that
            neither the call nor the reordering of values at the edges counts; any other: a call by torch less an empty
            one.
        points: pieces and widths.
        batch: images per call.
        threads: of the processor.
        int8: whether layers are in 8-bit integers, in engines with a profile.
    """
    if engine in ENGINES:
        return _profiled(engine, points, batch, threads, int8)
    with torch_threads(threads), torch.inference_mode():
        return _called(points, batch, threads)


def _called(points: Sequence[Point], batch: int, threads: int) -> list[float]:
    empty = fx.symbolic_trace(torch.nn.Identity())
    calls: list[Callable[[], object]] = [lambda: empty(torch.empty(0))]
    for piece, widths in points:
        calls.append(_call(piece.network(widths), piece.inputs(widths, batch)))
    times = in_turns(calls, threads)
    nothing, *others = (lower_quartile(taken) for taken in times)
    return [max(own - nothing, 0.0) for own in others]


def _call(network: fx.GraphModule, inputs: Sequence[torch.Tensor]) -> Callable[[], object]:
    return lambda: network(*inputs)


def in_turns(
    calls: Sequence[Callable[[], object]],
    threads: int,
    seconds: float = _SECONDS,
    most: int = _MOST,
    *,
    alone: bool = True,
) -> list[list[float]]:
    """Every call's times over as many rounds as the calls are worth; the order turns round every other time.

    Of one thread its own processor time is taken: on an idle machine that is the time that passes, and on a busy one it
    does not contain what others were given in between.

    Args:
        calls: what is timed, in bursts.
        threads: that a call works with.
        seconds: for each of them, all in all.
        most: rounds.
        alone: whether one thread is the one that calls: OpenVINO works in a thread of its own even then.
    """
    own = time.thread_time if alone else time.process_time
    clock = own if threads == 1 else time.perf_counter
    warm = [_burst(call, clock)[-1] for call in calls]
    rounds = int(min(max(seconds / (BURST * max(statistics.median(warm), 1e-9)), _LEAST), most))
    times: list[list[float]] = [[] for _ in calls]
    order = list(enumerate(calls))
    for _ in range(rounds):
        for number, call in order:
            times[number] += _burst(call, clock)
        order.reverse()
    return times


def _burst(call: Callable[[], object], clock: Callable[[], float]) -> list[float]:
    return [_seconds(call, clock) for _ in range(BURST)][1:]


def _seconds(call: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    call()
    return clock() - start


def _profiled(engine: str, points: Sequence[Point], batch: int, threads: int, int8: bool) -> list[float]:
    """Of a piece that netslim can't write the time is none, and left to the correction by whole networks."""
    with tempfile.TemporaryDirectory() as folder:
        contents = [content_of(piece.in_context(widths), int8=int8) for piece, widths in points]
        profiles = [
            ENGINES[engine](content, batch, threads, f"{folder}/{number}") if content else None
            for number, content in enumerate(contents)
        ]
        calls = [profile.run for profile in profiles if profile is not None]
        if calls:
            in_turns(calls, threads)
        return [0.0 if profile is None else profile.seconds() for profile in profiles]
