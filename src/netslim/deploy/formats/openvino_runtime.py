"""OpenVINO on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from netslim.core.errors import CheckpointError, first_line

XML, BIN = "model.xml", "model.bin"
Infer = Callable[..., Tensor | list[Tensor]]
Profiled = Callable[[Sequence[Any]], list[tuple[str, str, float]]]


def openvino_function(model: bytes | Path, threads: int) -> Infer:
    """A network, of an ONNX file's content or of an .xml file, as a function of its inputs in their order.

    It computes in float32: by itself OpenVINO takes bfloat16 where the processor has it, which agrees to two digits.

    Raises:
        CheckpointError: OpenVINO can't read the model.
    """
    compiled = _compiled(model, threads)
    request = compiled.create_infer_request()

    def run(*inputs: Tensor) -> Tensor | list[Tensor]:
        found = request.infer([given.detach().cpu().numpy() for given in inputs], share_inputs=True)
        outputs = [torch.from_numpy(found[output]) for output in compiled.outputs]
        return outputs[0] if len(outputs) == 1 else outputs

    return run


def profiled_openvino(model: bytes, threads: int) -> tuple[Profiled, list[list[int]]]:
    """A network as a function of its inputs' arrays that says how long its nodes took, and the inputs' shapes.

    Of every node that ran: its name, its kind and seconds. A side that the file leaves open is 0.

    Raises:
        CheckpointError: OpenVINO can't read the model.
    """
    compiled = _compiled(model, threads, PERF_COUNT=True)
    request = compiled.create_infer_request()
    shapes = [[side.get_length() if side.is_static else 0 for side in own.partial_shape] for own in compiled.inputs]

    def run(inputs: Sequence[Any]) -> list[tuple[str, str, float]]:
        request.infer([*inputs], share_inputs=True)
        nodes = [own for own in request.profiling_info if own.status == own.status.EXECUTED]
        return [(own.node_name, own.node_type, own.real_time.total_seconds()) for own in nodes]

    return run, shapes


def _compiled(model: bytes | Path, threads: int, **more: Any) -> Any:
    import openvino

    core = openvino.Core()
    options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    try:
        return core.compile_model(core.read_model(model=model), "CPU", {**options, **more})
    except Exception as error:  # its exceptions have no common base but this
        raise CheckpointError(f"OpenVINO can't read the model: {first_line(error)}") from error


def openvino_files(model: bytes) -> dict[str, bytes]:
    """The content of an ONNX file as OpenVINO's own two files, weights in the precision they have."""
    import openvino

    with TemporaryDirectory(prefix="netslim-") as folder:
        read: Any = openvino.Core().read_model(model=model)
        openvino.save_model(read, Path(folder) / XML, compress_to_fp16=False)
        return {name: (Path(folder) / name).read_bytes() for name in (XML, BIN)}
