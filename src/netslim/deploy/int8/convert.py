"""An ONNX file in float -> the same in int8, judged and timed beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from netslim.cost import Latency, measure_latency
from netslim.deploy.formats.onnx_hash import with_facts
from netslim.deploy.formats.onnx_runtime import onnx_session, run_session
from netslim.deploy.int8.processor import integers
from netslim.deploy.int8.quantizer import Quantizer
from netslim.deploy.int8.request import NothingInInt8Error, Quantization, Quantized
from netslim.deploy.int8.search import function_of, judged, within

_KERNELS = ("QLinearConv", "QLinearMatMul", "QGemm", "MatMulInteger", "ConvInteger", "QLinearConvTranspose")


def quantized(content: bytes, request: Quantization) -> Quantized:
    """The model in int8, with as few layers in float as the allowed loss asks for.

    There are two kinds: with additions and pooling in int8, too, or layers alone, which is faster where BatchNorms
    stand between them. The faster one is taken, if it is as accurate as asked.

    Args:
        content: an ONNX file in float, with one input (images) and one output.
        request: images, judge, and what may be lost.

    Raises:
        DataError: the calibration images are all the same.
        NothingInInt8Error: any layer costs more than allowed.
        NetslimError: the model has no layers for int8.
    """
    import onnx

    kinds = integers()
    request.progress("ranges of the activations")
    quantizer = Quantizer(content, request.images, kinds)
    before = judged(content, request)
    found = within(quantizer, request, before.value - request.allowed, _faster_first(quantizer, request))
    if found is None:
        raise NothingInInt8Error(
            f"with a single layer in int8 more is lost than the {request.allowed:g} allowed; nothing was written"
        )
    request.progress("times")
    times = _timed({"float": content, "int8": found.content}, request)
    request.progress("test images")
    test = [request.test(function_of(model)) if request.test else None for model in (content, found.content)]
    result = Quantized(
        content=b"",
        written=request.always or not _is_slower(times),
        integers=str(kinds),
        layers=len(quantizer.layers),
        layers_int8=layers_in_int8(found.content),
        layers_float=found.in_float,
        judged_float=before.value,
        judged_int8=found.value,
        test_float=test[0],
        test_int8=test[1],
        agreement=found.agreement(before),
        bytes_float=len(content),
        bytes_int8=0,
        time_float=times["float"],
        time_int8=times["int8"],
        calibrated_on=sum(map(len, request.images)),
    )
    made = with_facts(onnx.load_from_string(found.content), {"int8": result.facts()})
    return replace(result, content=made, bytes_int8=len(made))


def layers_in_int8(content: bytes) -> int:
    """How many layers ONNX Runtime multiplies in int8, counted in what it makes of the model."""
    import onnx

    with TemporaryDirectory(prefix="netslim-") as folder:
        path = Path(folder) / "optimised.onnx"
        onnx_session(content, 1, optimised=path)
        return sum(node.op_type in _KERNELS for node in onnx.load(path).graph.node)


def _is_slower(times: Mapping[str, Latency]) -> bool:
    return times["int8"].median >= times["float"].median


def _faster_first(quantizer: Quantizer, request: Quantization) -> list[bool]:
    request.progress("both kinds")
    times = _timed({str(around): quantizer.model(around=around) for around in (True, False)}, request)
    return sorted((True, False), key=lambda around: times[str(around)].median)


def _timed(models: Mapping[str, bytes], request: Quantization) -> dict[str, Latency]:
    images = request.images[0]
    images = images.repeat(-(-request.batch // len(images)), *[1] * (images.ndim - 1))[: request.batch].contiguous()
    sessions = {name: onnx_session(content, torch.get_num_threads()) for name, content in models.items()}
    calls = {name: partial(run_session, session, images) for name, session in sessions.items()}
    return measure_latency(calls, seconds=request.seconds)
