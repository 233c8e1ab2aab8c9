"""Engines timing small pieces in turns: lower quartiles, since what else the machine does only ever adds time."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import fx

from netslim.cost import torch_threads
from netslim.deploy.formats.onnx_graph import NotWrittenError, onnx_model
from netslim.deploy.formats.onnx_runtime import onnx_session
from netslim.deploy.latency.pieces import Piece

Point = tuple[Piece, tuple[int, ...]]
BURST = 4  # calls in a row: the first finds its memory in no cache, as inside a network it never is, and does not count
_LEAST, _MOST = 5, 20  # rounds of bursts
_SECONDS = 0.02  # per piece
_HALF_A_TICK = 0.5e-6  # ONNX Runtime's profile is in whole microseconds, rounded down


def time_points(engine: str, points: Sequence[Point], batch: int, threads: int) -> list[float]:
    """Seconds of each piece at its widths, one round after the other over all of them.

    Args:
        engine: `onnxruntime`: what its own profile says of the piece between two other layers, so that neither the
            call nor the reordering of values at the edges counts; any other: a call by torch less an empty one.
        points: pieces and widths.
        batch: images per call.
        threads: of the processor.
    """
    if engine == "onnxruntime":
        return _profiled(points, batch, threads)
    with torch_threads(threads), torch.inference_mode():
        return _called(points, batch, threads)


def _called(points: Sequence[Point], batch: int, threads: int) -> list[float]:
    empty = fx.symbolic_trace(torch.nn.Identity())
    calls: list[Callable[[], object]] = [lambda: empty(torch.empty(0))]
    for piece, widths in points:
        calls.append(_call(piece.network(widths), piece.inputs(widths, batch)))
    times = in_turns(calls, threads)
    nothing, *others = (_lower_quartile(taken) for taken in times)
    return [max(own - nothing, 0.0) for own in others]


def _call(network: fx.GraphModule, inputs: Sequence[torch.Tensor]) -> Callable[[], object]:
    return lambda: network(*inputs)


def in_turns(
    calls: Sequence[Callable[[], object]], threads: int, seconds: float = _SECONDS, most: int = _MOST
) -> list[list[float]]:
    """Every call's times over as many rounds as the calls are worth; the order turns round every other time.

    Of one thread its own processor time is taken: on an idle machine that is the time that passes, and on a busy one it
    does not contain what others were given in between.

    Args:
        calls: what is timed, in bursts.
        threads: that a call works with.
        seconds: for each of them, all in all.
        most: rounds.
    """
    clock = time.thread_time if threads == 1 else time.perf_counter
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


def _lower_quartile(taken: Sequence[float]) -> float:
    return statistics.quantiles(taken, n=4, method="inclusive")[0]


def _profiled(points: Sequence[Point], batch: int, threads: int) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        sessions = [_session(piece, widths, threads, folder) for piece, widths in points]
        calls = [_run(session, batch) for session in sessions if session is not None]
        if calls:
            in_turns(calls, threads)
        return [0.0 if session is None else _of_unit(session.end_profiling()) for session in sessions]


def _session(piece: Piece, widths: Sequence[int], threads: int, folder: str) -> Any:
    """What runs a piece; None for one that netslim can't write, whose time is then left to the correction."""
    try:
        content = onnx_model(piece.in_context(widths), {}).SerializeToString()
    except NotWrittenError:
        return None
    return onnx_session(content, threads, profile=f"{folder}/{id(piece)}-{'x'.join(map(str, widths))}")


def _run(session: Any, batch: int) -> Callable[[], object]:
    inputs = {
        given.name: np.random.default_rng(0).standard_normal([batch, *given.shape[1:]]).astype(np.float32)
        for given in session.get_inputs()
    }
    return lambda: session.run(None, inputs)


def _of_unit(path: str) -> float:
    """The lower quartile of what the nodes of the unit took together in a run; an engine's own reordering counts."""
    events = [event for event in json.loads(Path(path).read_text()) if event.get("cat") == "Node"]
    runs = max(len({event["ts"] for event in events}) // max(len({event["name"] for event in events}), 1), 1)
    per_run = len(events) // runs
    sums = []
    for start in range(0, per_run * runs, per_run):
        if start // per_run % BURST == 0:
            continue
        own = [event["dur"] * 1e-6 + _HALF_A_TICK for event in events[start : start + per_run] if _counts(event)]
        sums.append(sum(own))
    return _lower_quartile(sums) if len(sums) > 1 else sums[0]


def _counts(event: dict[str, Any]) -> bool:
    name = str(event["name"])
    if name.startswith("unit_"):
        return True
    shapes = [shape for named in event["args"].get("output_type_shape", []) for shape in named.values()]
    return name.startswith("Reorder") and any(len(shape) == 4 and shape[2] * shape[3] > 1 for shape in shapes)
