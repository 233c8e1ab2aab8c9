"""Times every ONNX file beside this one in turns, into times.csv. It is copied to other machines: numpy and the engine
are all it needs there.
"""

from __future__ import annotations

import argparse
import csv
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TIMES = "times.csv"
CHUNK = 20


def main() -> None:
    """Goes over the files that have no time yet; lower quartiles count."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--engine", choices=("onnxruntime", "openvino"), default="onnxruntime")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    here = Path(__file__).parent
    done = read(here / TIMES)
    files = [path for path in sorted(here.glob("*.onnx")) if path.name not in done]
    for start in range(0, len(files), CHUNK):
        chunk = files[start : start + CHUNK]
        start_file = call if given.engine == "onnxruntime" else call_openvino
        times = in_turns([start_file(path, given.batch_size, given.threads) for path in chunk], given.rounds)
        done.update({path.name: lower_quartile for path, lower_quartile in zip(chunk, times, strict=True)})
        write(here / TIMES, done, given.engine)
        print(f"{start + len(chunk)} of {len(files)}", flush=True)  # noqa: T201 - a script of its own


def call(path: Path, batch: int, threads: int) -> Callable[[], object]:
    """What runs a file once in ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    inputs = {given.name: images([batch, *given.shape[1:]]) for given in session.get_inputs()}
    return lambda: session.run(None, inputs)


def call_openvino(path: Path, batch: int, threads: int) -> Callable[[], object]:
    """What runs a file once in OpenVINO."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # it would tell its makers
    import openvino

    options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(path, "CPU", options)
    request = compiled.create_infer_request()
    shapes = [[side.get_length() for side in [*own.partial_shape][1:]] for own in compiled.inputs]
    inputs = [images([batch, *shape]) for shape in shapes]
    return lambda: request.infer(inputs, share_inputs=True)


def images(shape: list[int]) -> Any:
    """Random numbers."""
    import numpy as np

    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def in_turns(calls: list[Callable[[], object]], rounds: int) -> list[float]:
    """The lower quartile of each call's times; the first of two in a row does not count."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for own, run in zip(times, calls, strict=True):
            run()
            start = time.perf_counter()
            run()
            own.append(time.perf_counter() - start)
    return [statistics.quantiles(own, n=4)[0] for own in times]


def read(path: Path) -> dict[str, float]:
    """The times that are there already."""
    if not path.exists():
        return {}
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return {row["file"]: float(row["seconds"]) for row in csv.DictReader(lines)}


def write(path: Path, done: dict[str, float], engine: str = "onnxruntime") -> None:
    """All times, and what they are of."""
    from importlib.metadata import version

    lines = [f"# processor: {platform.processor() or platform.machine()}", f"# version: {version(engine)}"]
    lines += ["file,seconds", *(f"{name},{seconds:.9f}" for name, seconds in sorted(done.items()))]
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
