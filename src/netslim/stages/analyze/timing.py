"""What the networks of a sweep take, each as it would be exported."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from netslim.core.networks.trees import Batch, called
from netslim.core.processes.allocator import keep_freed_memory
from netslim.cost.latency import measure_latency
from netslim.deploy import TARGETS
from netslim.deploy.form_memory import fastest_form
from netslim.deploy.form_search import Search
from netslim.deploy.formats.onnx_graph import NotWrittenError, onnx_model
from netslim.deploy.fx_graph import UntraceableError
from netslim.deploy.inference import shaped, simplified, two_of

SECONDS = 0.3  # of measured time per network
PER_FORM = 0.05  # for each form that a network is tried in
AS_IT_IS = "PyTorch, as it is"


def latencies(
    networks: Mapping[str, nn.Module],
    images: Batch,
    check_stop: Callable[[], None],
    show: Callable[[str], None],
) -> dict[str, dict[str, Any]]:
    """Times all networks side by side: milliseconds per call, and what was timed.

    On a processor that is what `netslim export` would write: the fastest form, in ONNX Runtime where that can be, else
    in PyTorch. On a GPU, with several inputs, or without a fixed graph it is the network itself.

    Args:
        networks: by the key of their rows.
        images: of one call, on the networks' device.
        check_stop: asked before every call; raises when the run was interrupted.
        show: told what is done now.
    """
    keep_freed_memory()
    calls, timed_as = {}, {}
    with torch.inference_mode():
        for key, network in networks.items():
            check_stop()
            show(f"the fastest form of {key}")
            call, timed_as[key] = _exported(network.eval(), images)
            calls[key] = _stoppable(call, check_stop)
        show("times, in turns")
        times = measure_latency(calls, seconds=SECONDS)
    return {
        key: {
            "latency_ms": 1000 * taken.median,
            "latency_ms_q1": 1000 * taken.lower_quartile,
            "latency_ms_q3": 1000 * taken.upper_quartile,
            "timed_as": timed_as[key],
        }
        for key, taken in times.items()
    }


def _exported(network: nn.Module, images: Batch) -> tuple[Callable[[], object], str]:
    """The call of the network in its fastest form, and which that is."""
    if not isinstance(images, Tensor) or images.device.type != "cpu":
        return lambda: called(network, images), AS_IT_IS
    try:
        simple = simplified(network, two_of(images))
    except UntraceableError:
        return lambda: called(network, images), AS_IT_IS
    target = TARGETS.get("onnx" if _can_be_onnx(simple) else "eager")
    form = fastest_form(network, simple, images, target, Search(seconds=PER_FORM)).form
    return target.caller(shaped(simple, two_of(images), form), images), f"{target.engines[0]} {form}"


def _can_be_onnx(network: fx.GraphModule) -> bool:
    """Whether ONNX Runtime is there, and netslim can write the network: torch's exporter takes a minute for one."""
    if not all(map(importlib.util.find_spec, ("onnx", "onnxruntime"))):
        return False
    try:
        onnx_model(network, {})
    except NotWrittenError:
        return False
    return True


def _stoppable(call: Callable[[], object], check_stop: Callable[[], None]) -> Callable[[], object]:
    def once() -> object:
        check_stop()
        return call()

    return once
