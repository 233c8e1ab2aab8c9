"""OpenVINO on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from netslim.core.errors import CheckpointError, first_line
from netslim.deploy.formats.signal_stack import signal_stack_kept
from netslim.deploy.quiet import quiet

XML, BIN = "model.xml", "model.bin"
Model = bytes | Path | Mapping[str, bytes]  # an ONNX file's content, an .xml file, or OpenVINO's own files by name
Infer = Callable[..., Tensor | list[Tensor]]
Profiled = Callable[[Sequence[Any]], list[tuple[str, str, float]]]


def openvino_function(model: Model, threads: int) -> Infer:
    """A network as a function of its inputs in their order.

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


def precisions(model: Model) -> list[tuple[str, str]]:
    """What the run time makes of a network: of every node its kind, as `Convolution`, and its numbers, as `u8`."""
    run = _compiled(model, 1).get_runtime_model()
    about = [own.get_rt_info() for own in run.get_ordered_ops()]
    return [(own["layerType"].astype(str), own["runtimePrecision"].astype(str)) for own in about]


def model_of(model: Model) -> Any:
    """OpenVINO's model, to be changed or compiled. Raises CheckpointError if it can't be read."""
    core = _openvino().Core()
    try:
        if isinstance(model, Mapping):
            return core.read_model(model=model[XML], weights=model[BIN])
        return core.read_model(model=model)
    except Exception as error:  # its exceptions have no common base but this
        raise CheckpointError(f"OpenVINO can't read the model: {first_line(error)}") from error


def files_of(model: Any) -> dict[str, bytes]:
    """A model as OpenVINO's own two files, weights in the precision they have."""
    with TemporaryDirectory(prefix="netslim-") as folder:
        _openvino().save_model(model, Path(folder) / XML, compress_to_fp16=False)
        return {name: (Path(folder) / name).read_bytes() for name in (XML, BIN)}


def _openvino() -> Any:
    with quiet():
        import openvino

        return openvino


def _compiled(model: Model, threads: int, **more: Any) -> Any:
    options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    read = model_of(model)
    try:
        with signal_stack_kept():
            return _openvino().Core().compile_model(read, "CPU", {**options, **more})
    except Exception as error:  # its exceptions have no common base but this
        raise CheckpointError(f"OpenVINO can't read the model: {first_line(error)}") from error
