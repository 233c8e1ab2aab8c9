"""A network in float -> the same in int8, judged and timed beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from netslim.cost import Latency, measure_latency
from netslim.deploy.int8.quantizer import Quantizer
from netslim.deploy.int8.request import NothingInInt8Error, Quantization, Quantized
from netslim.deploy.int8.search import judged, within


def quantized(make: Callable[[], Quantizer], request: Quantization, rival: Any) -> Quantized:
    """The model in int8, with as few layers in float as the allowed loss asks for.

    Where there are two kinds (with additions and pooling in int8, too, or layers alone, which is faster where
    BatchNorms stand between them), the faster one is taken, if it is as accurate as asked.

    Args:
        make: measures the ranges of a network with one input (images) and one output.
        request: images, judge, and what may be lost.
        rival: the model in float that int8 has to be faster than: as the quantizer's, perhaps of other widths.

    Raises:
        DataError: the calibration images are all the same.
        NothingInInt8Error: any layer costs more than allowed.
        NetslimError: the model has no layers for int8.
    """
    request.progress("ranges of the activations")
    quantizer = make()
    plain = quantizer.float_content
    before = judged(quantizer, plain, request)
    found = within(quantizer, request, before.value - request.allowed, _faster_first(quantizer, request))
    if found is None:
        raise NothingInInt8Error(
            f"with a single layer in int8 more is lost than the {request.allowed:g} allowed; nothing was written"
        )
    request.progress("times")
    times = _timed(quantizer, {"float": rival, "int8": found.content}, request)
    request.progress("test images")
    models = (plain, found.content)
    test = [request.test(quantizer.function(model)) if request.test else None for model in models]
    result = Quantized(
        content=b"",
        written=request.always or not _is_slower(times),
        run_time=quantizer.run_time,
        integers=quantizer.integers,
        layers=len(quantizer.layers),
        layers_int8=quantizer.layers_in_int8(found.content),
        layers_float=found.in_float,
        judged_float=before.value,
        judged_int8=found.value,
        test_float=test[0],
        test_int8=test[1],
        agreement=found.agreement(before),
        bytes_float=quantizer.size(rival),
        bytes_int8=0,
        time_float=times["float"],
        time_int8=times["int8"],
        calibrated_on=sum(map(len, request.images)),
    )
    made = quantizer.with_facts(found.content, result.facts())
    return replace(result, content=made, bytes_int8=quantizer.size(made))


def _is_slower(times: Mapping[str, Latency]) -> bool:
    return times["int8"].median >= times["float"].median


def _faster_first(quantizer: Quantizer, request: Quantization) -> list[bool]:
    if len(quantizer.kinds) == 1:
        return [*quantizer.kinds]
    request.progress("both kinds")
    models = {str(around): quantizer.model(around=around) for around in quantizer.kinds}
    times = _timed(quantizer, models, request)
    return sorted(quantizer.kinds, key=lambda around: times[str(around)].median)


def _timed(quantizer: Quantizer, models: Mapping[str, Any], request: Quantization) -> dict[str, Latency]:
    images = request.images[0]
    images = images.repeat(-(-request.batch // len(images)), *[1] * (images.ndim - 1))[: request.batch].contiguous()
    calls = {name: partial(quantizer.function(content), images) for name, content in models.items()}
    return measure_latency(calls, seconds=request.seconds)
