"""What layers with weights do to channel labels: convolution, linear, BatchNorm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from netslim.dependency.channel_sets import Carried
from netslim.dependency.rules.fallback import unknown
from netslim.dependency.trace import Call, Results

if TYPE_CHECKING:
    from netslim.dependency.tracer import Tracer


def convolution(tracer: Tracer, call: Call) -> Results:
    """Reads the channels in dimension 1 and gives new ones; groups go as a whole, with what they read and give."""
    tensor, groups = call.args[0], call.given["groups"]
    inputs = _channels(tracer, tensor, 1)
    weight = tracer.weight(call.args[1])
    if weight is None and inputs is not None and groups == tensor.shape[1] == call.out[0].shape[1]:
        return [inputs]  # a fixed filter for every channel
    if inputs is None:
        return unknown(tracer, call, f"is mixed with other channels by {call}")
    if weight is None or (call.given["transposed"] and groups > 1):
        return unknown(tracer, call, f"is read by {call}, whose weight is computed")
    reads, gives = (0, 1) if call.given["transposed"] else (1, 0)
    if groups == 1:
        _consume(tracer, call, weight.name, weight.dims[reads], inputs)
    labels = tracer.produced(weight.name, weight.dims[gives], call.out[0].shape[1])
    if groups > 1:
        tracer.trace.used.add(weight.name)
        within = torch.cat([inputs.labels.view(groups, -1), labels.view(groups, -1)], 1)
        tracer.labels.unite(within, within[:, :1])
    return [_with_bias(tracer, call.given["bias"], 1, labels)]


def linear(tracer: Tracer, call: Call) -> Results:
    """mm and addmm: the last dimension is read, and a new one given."""
    tensor, matrix = (call.args[1], call.args[2]) if call.name == "addmm" else (call.args[0], call.args[1])
    inputs, weight = _channels(tracer, tensor, 1), tracer.weight(matrix)
    if inputs is None or weight is None:
        return unknown(tracer, call)
    _consume(tracer, call, weight.name, weight.dims[0], inputs)
    labels = tracer.produced(weight.name, weight.dims[1], call.out[0].shape[1])
    return [_with_bias(tracer, call.args[0] if call.name == "addmm" else None, 1, labels)]


def batch_norm(tracer: Tracer, call: Call) -> Results:
    """Hands labels on, in dimension 1; its scale and shift silence them."""
    inputs = _channels(tracer, call.args[0], 1)
    if inputs is None:
        return unknown(tracer, call)
    for key in ("weight", "bias", "running_mean", "running_var"):
        own = call.given.get(key)
        if own is None:
            continue
        name = tracer.name_of(own)
        if name is not None:
            tracer.follow(name, 0, inputs.labels)
            if key in ("weight", "bias"):
                tracer.trace.silenced.add((name, 0))
        elif (carried := tracer.carried(own)) is not None:
            tracer.labels.unite(carried.labels, inputs.labels)
        else:
            tracer.labels.freeze(inputs.labels, f"meets a tensor that is no parameter in {call}")
    name = tracer.name_of(call.given["weight"])
    if name is not None and name not in tracer.trace.scales:
        tracer.trace.scales.append(name)
    silent = torch.full_like(inputs.silent, name is not None)
    return [Carried(1, inputs.labels, silent), *(None for _ in call.out[1:])]


def _channels(tracer: Tracer, tensor: Tensor, dim: int) -> Carried | None:
    carried = tracer.carried(tensor)
    return None if carried is None else carried.along(dim, tensor.shape[dim])


def _consume(tracer: Tracer, call: Call, name: str, dim: int, inputs: Carried) -> None:
    """Inputs that are not zero for a silent channel would be missed."""
    if not bool(inputs.silent.all()):
        loud = inputs.labels[~inputs.silent]
        tracer.labels.freeze(loud, f"is not zero where it is read ({call.where}) although its channel is silent")
    tracer.follow(name, dim, inputs.labels)


def _with_bias(tracer: Tracer, bias: Any, dim: int, labels: Tensor) -> Carried:
    silent = True
    if bias is not None:
        name = tracer.name_of(bias)
        if name is not None:
            tracer.follow(name, 0, labels)
            tracer.trace.silenced.add((name, 0))
        else:
            silent = False
            tracer.labels.freeze(labels, "has a bias that is no parameter")
    return Carried(dim, labels, torch.full((len(labels),), silent))


LAYERS = {
    **dict.fromkeys(("convolution", "_convolution"), convolution),
    **dict.fromkeys(("mm", "addmm"), linear),
    **dict.fromkeys(
        (
            *("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"),
            *("_batch_norm_with_update", "_batch_norm_no_update", "cudnn_batch_norm", "batch_norm"),
        ),
        batch_norm,
    ),
}
