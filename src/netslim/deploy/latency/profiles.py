"""What engines say themselves of the time that each node took, for pieces between two other layers."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import fx

from netslim.deploy.formats.onnx_graph import NotWrittenError, onnx_model
from netslim.deploy.formats.onnx_runtime import onnx_session
from netslim.deploy.formats.openvino_runtime import profiled_openvino
from netslim.deploy.int8.onnx_quantizer import in_int8_for_timing

BURST = 4  # calls in a row: the first finds its memory in no cache, as inside a network it never is, and does not count
_HALF_A_TICK = 0.5e-6  # profiles are in whole microseconds, rounded down
_EDGES = ("Reorder", "ReduceMean", "Result", "Parameter")  # what OpenVINO runs around the only layer of a network


def content_of(network: fx.GraphModule, *, int8: bool) -> bytes | None:
    """A piece as an ONNX file's content; None for one that netslim can't write."""
    try:
        content: bytes = onnx_model(network, {}).SerializeToString()
    except NotWrittenError:
        return None
    return in_int8_for_timing(content) if int8 else content


class Profile(Protocol):
    """A piece that was started: it is run in bursts, and then says what its unit took."""

    def run(self) -> object:
        """Runs it once."""
        ...

    def seconds(self) -> float:
        """The lower quartile of what the nodes of the unit took together in a run."""
        ...


class OnnxRuntimeProfile:
    """ONNX Runtime: it writes one file of all runs; its own reordering of values counts.

    Args:
        content: of an ONNX file.
        batch: images per call.
        threads: of the processor.
        path: how the name of the profile's file begins.
    """

    def __init__(self, content: bytes, batch: int, threads: int, path: str) -> None:
        self._session = onnx_session(content, threads, profile=path)
        self._inputs = {
            given.name: _random([batch, *given.shape[1:]], number)
            for number, given in enumerate(self._session.get_inputs())
        }

    def run(self) -> object:
        """Runs it once."""
        return self._session.run(None, self._inputs)

    def seconds(self) -> float:
        """The lower quartile of what the nodes of the unit took together in a run."""
        events = json.loads(Path(self._session.end_profiling()).read_text())
        events = [event for event in events if event.get("cat") == "Node"]
        runs = max(len({event["ts"] for event in events}) // max(len({event["name"] for event in events}), 1), 1)
        per_run = len(events) // runs
        every = [events[start : start + per_run] for start in range(0, per_run * runs, per_run)]
        return lower_quartile(_warm([sum(_took(event) for event in own if _counts(event)) for own in every]))


class OpenVinoProfile:
    """OpenVINO: it says what the last run was; see `OnnxRuntimeProfile`."""

    def __init__(self, content: bytes, batch: int, threads: int, path: str) -> None:  # noqa: ARG002
        self._infer, shapes = profiled_openvino(content, threads)
        self._inputs = [_random([batch, *shape[1:]], number) for number, shape in enumerate(shapes)]
        self._runs: list[float] = []

    def run(self) -> object:
        """Runs it once."""
        nodes = self._infer(self._inputs)
        own = [seconds for name, kind, seconds in nodes if "unit_" in name]
        alone = [seconds for name, kind, seconds in nodes if name == "output" and kind not in _EDGES]
        self._runs.append(sum(taken + _HALF_A_TICK for taken in own or alone))
        return None

    def seconds(self) -> float:
        """The lower quartile of what the nodes of the unit took together in a run."""
        return lower_quartile(_warm(self._runs))


ENGINES: Mapping[str, Callable[[bytes, int, int, str], Profile]] = {
    "onnxruntime": OnnxRuntimeProfile,
    "openvino": OpenVinoProfile,
}


def lower_quartile(taken: Sequence[float]) -> float:
    """What else a machine does only ever adds time."""
    return statistics.quantiles(taken, n=4, method="inclusive")[0] if len(taken) > 1 else taken[0]


def _warm(runs: Sequence[float]) -> list[float]:
    return [own for number, own in enumerate(runs) if number % BURST] or [*runs]


def _random(shape: Sequence[int], seed: int) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _took(event: Mapping[str, Any]) -> float:
    return float(event["dur"]) * 1e-6 + _HALF_A_TICK


def _counts(event: Mapping[str, Any]) -> bool:
    name = str(event["name"])
    if name.startswith("unit_"):
        return True
    shapes = [shape for named in event["args"].get("output_type_shape", []) for shape in named.values()]
    return name.startswith("Reorder") and any(len(shape) == 4 and shape[2] * shape[3] > 1 for shape in shapes)
