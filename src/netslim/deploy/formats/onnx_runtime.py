"""ONNX Runtime on the CPU."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netslim.core.errors import CheckpointError

_KIND = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
_PLACE = re.compile(
    r"(?<![^\s:])(?:[A-Za-z]:)?[^\s:]*[/\\][^\s:]+\.(?:h|hpp|cc|cpp):\d+ "  # file and line
    r"(?:.*?\)(?: const)?(?: \[with [^\]]*\])? (?=[A-Z\"'(\[]))?"  # the function
)
_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])|\s+Please (?=fix)")
_FATAL = 4  # of its log, which it writes to standard error: the rest is in its exceptions


def onnx_session(model: bytes | str, threads: int, *, optimised: Path | None = None, profile: str = "") -> Any:
    """A session for an ONNX model. Its threads stop as soon as a run ends: they don't disturb what runs next.

    Args:
        model: content of the file, or its path.
        threads: of the processor.
        optimised: where what ONNX Runtime makes of the model is written.
        profile: how the file begins that is written of every node's time; empty: none.

    Raises:
        CheckpointError: ONNX Runtime can't read the model.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.enable_profiling = bool(profile)
    options.profile_file_prefix = profile or "onnxruntime_profile"
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base but this
        raise CheckpointError(f"ONNX Runtime can't read the model: {said_by(error)}") from error


def said_by(error: Exception) -> str:
    """The first sentence of what ONNX Runtime says, without the places in its source."""
    text = _PLACE.sub(" ", _KIND.sub("", " ".join(str(error).split())))
    first = " ".join(_END.split(text, maxsplit=1)[0].split())
    return first.removesuffix(".") or type(error).__name__


def run_session(session: Any, *inputs: Tensor) -> Tensor | list[Tensor]:
    """The output, or all of several, for tensors in the order of the model's inputs."""
    arrays = [given.detach().cpu().numpy() for given in inputs]
    named = {source.name: array for source, array in zip(session.get_inputs(), arrays, strict=True)}
    outputs = [torch.from_numpy(np.asarray(output)) for output in session.run(None, named)]
    return outputs[0] if len(outputs) == 1 else outputs
