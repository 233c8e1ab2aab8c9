"""OpenVINO on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from netslim.core.errors import CheckpointError, first_line

XML, BIN = "model.xml", "model.bin"
Infer = Callable[..., Tensor | list[Tensor]]


def openvino_function(model: bytes | Path, threads: int) -> Infer:
    """A network, of an ONNX file's content or of an .xml file, as a function of its inputs in their order.

    It computes in float32: by itself OpenVINO takes bfloat16 where the processor has it, which agrees to two digits.

    Raises:
        CheckpointError: OpenVINO can't read the model.
    """
    import openvino

    core = openvino.Core()
    options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    try:
        compiled = core.compile_model(core.read_model(model=model), "CPU", options)
    except Exception as error:  # its exceptions have no common base but this
        raise CheckpointError(f"OpenVINO can't read the model: {first_line(error)}") from error
    request = compiled.create_infer_request()

    def run(*inputs: Tensor) -> Tensor | list[Tensor]:
        found = request.infer([given.detach().cpu().numpy() for given in inputs], share_inputs=True)
        outputs = [torch.from_numpy(found[output]) for output in compiled.outputs]
        return outputs[0] if len(outputs) == 1 else outputs

    return run


def openvino_files(model: bytes) -> dict[str, bytes]:
    """The content of an ONNX file as OpenVINO's own two files, weights in the precision they have."""
    import openvino

    with TemporaryDirectory(prefix="netslim-") as folder:
        read: Any = openvino.Core().read_model(model=model)
        openvino.save_model(read, Path(folder) / XML, compress_to_fp16=False)
        return {name: (Path(folder) / name).read_bytes() for name in (XML, BIN)}
